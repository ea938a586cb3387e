import { Component, onWillUnmount, useState } from "@odoo/owl";
import { browser } from "@web/core/browser/browser";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";

const EVERY = 2000; // ms

/** What comes in while somebody connects a system: the first events, and why others are rejected. */
export class UsageNews extends Component {
    static template = "reseller_billing.UsageNews";
    static props = { ...standardWidgetProps };

    setup() {
        this.orm = useService("orm");
        this.state = useState({ events: [], rejected: [] });
        const { active_id: key, news_since: since } = this.props.record.context;
        this.key = key;
        this.since = since;
        this.wait();
        onWillUnmount(() => {
            this.isOver = true;
            browser.clearTimeout(this.timer);
        });
    }

    wait() {
        this.timer = browser.setTimeout(() => this.look(), EVERY);
    }

    async look() {
        try {
            const news = await this.orm.silent.call("reseller.usage.key", "get_news", [this.key, this.since]);
            this.since = news.since;
            this.state.events.push(...news.events);
            this.state.rejected.push(...news.rejected);
        } catch {
            // The server is away, or the session is over: the dialog stays, and its key with it.
            return;
        }
        if (!this.isOver) {
            this.wait();
        }
    }
}

registry.category("view_widgets").add("reseller_billing_usage_news", { component: UsageNews });
