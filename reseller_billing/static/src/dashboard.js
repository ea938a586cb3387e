import { Component, onMounted, onWillStart, onWillUnmount, useEffect, useRef, useState } from "@odoo/owl";
import { loadBundle } from "@web/core/assets";
import { browser } from "@web/core/browser/browser";
import { getColor } from "@web/core/colors/colors";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { Layout } from "@web/search/layout";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";

const EVERY = 60000; // ms

/** What waits to be done, and what the months brought. */
export class ResellerDashboard extends Component {
    static template = "reseller_billing.Dashboard";
    static components = { Layout };
    static props = { ...standardActionServiceProps };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.canvas = useRef("canvas");
        this.state = useState({ data: null });
        onWillStart(async () => {
            await Promise.all([loadBundle("web.chartjs_lib"), this.load()]);
        });
        let timer;
        onMounted(() => {
            timer = browser.setInterval(() => this.load(), EVERY);
        });
        onWillUnmount(() => {
            browser.clearInterval(timer);
            this.chart?.destroy();
        });
        useEffect(
            () => this.draw(),
            () => [this.state.data]
        );
    }

    async load() {
        this.state.data = await this.orm.call("reseller.dashboard", "get_data", []);
    }

    async open(tile) {
        const action = tile.action || (await this.orm.call("reseller.dashboard", "get_action", [tile.key]));
        return this.action.doAction(action);
    }

    async take(step) {
        const action = await this.orm.call("reseller.dashboard", "get_step_action", [step.key]);
        return this.action.doAction(action);
    }

    /** What waits, by groups; what does not wait is not shown. */
    get groups() {
        const tiles = this.state.data.tiles.filter((tile) => tile.count);
        return this.state.data.groups
            .map((group) => ({ ...group, tiles: tiles.filter((tile) => tile.group === group.key) }))
            .filter((group) => group.tiles.length);
    }

    /** The step that comes next: its button stands out. */
    get nextStep() {
        return this.state.data.steps.find((step) => !step.done);
    }

    openRevenue() {
        return this.action.doAction("reseller_billing.reseller_analysis_action");
    }

    openMargin() {
        return this.action.doAction("reseller_billing.reseller_margin_action");
    }

    draw() {
        this.chart?.destroy();
        if (!this.canvas.el) {
            return;
        }
        const { labels, datasets } = this.state.data.chart;
        this.chart = new Chart(this.canvas.el, {
            type: "bar",
            data: {
                labels,
                datasets: datasets.map((one, index) => ({
                    ...one,
                    backgroundColor: getColor(4 * index, "light", "md"),
                })),
            },
            options: {
                maintainAspectRatio: false,
                animation: false,
                plugins: { legend: { display: datasets.length > 1 } },
                scales: { x: { grid: { display: false } }, y: { beginAtZero: true } },
            },
        });
    }
}

registry.category("actions").add("reseller_billing.dashboard", ResellerDashboard);
