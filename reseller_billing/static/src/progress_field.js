import { onWillUnmount } from "@odoo/owl";
import { browser } from "@web/core/browser/browser";
import { registry } from "@web/core/registry";
import { ProgressBarField, progressBarField } from "@web/views/fields/progress_bar/progress_bar_field";

const EVERY = 3000; // ms

/** A progress bar of work that goes on in the background: it looks again while that lasts. */
export class BackgroundProgressField extends ProgressBarField {
    static props = { ...ProgressBarField.props, running: { type: Array } };

    setup() {
        super.setup();
        const timer = browser.setInterval(() => this.look(), EVERY);
        onWillUnmount(() => browser.clearInterval(timer));
    }

    async look() {
        const { record, running } = this.props;
        if (running.includes(record.data.state) && !(await record.isDirty())) {
            await record.load();
        }
    }
}

registry.category("fields").add("reseller_billing_progress", {
    ...progressBarField,
    component: BackgroundProgressField,
    extractProps: (field, dynamic) => ({
        ...progressBarField.extractProps(field, dynamic),
        running: field.options.running,
    }),
});
