import { onWillUnmount, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useBus, useService } from "@web/core/utils/hooks";
import { BinaryField, binaryField } from "@web/views/fields/binary/binary_field";

const ROUTE = "/reseller_billing/usage_file";

/** A file that goes to the server as it is, and to the record when that is saved: its field `upload_id`. */
export class UsageFileField extends BinaryField {
    static template = "reseller_billing.UsageFileField";

    setup() {
        super.setup();
        this.fileUpload = useService("file_upload");
        this.state = useState({ upload: null });
        const { bus } = this.fileUpload;
        useBus(bus, "FILE_UPLOAD_LOADED", ({ detail }) => this.onLoaded(detail.upload));
        useBus(bus, "FILE_UPLOAD_ERROR", ({ detail }) => this.onEnded(detail.upload));
        // Who saves, presses a button or goes to another record meanwhile waits for the file.
        useBus(this.props.record.model.bus, "NEED_LOCAL_CHANGES", ({ detail }) => {
            detail.proms.push(this.pending);
        });
        onWillUnmount(() => {
            this.state.upload?.xhr.abort();
            this.resolve?.();
        });
    }

    get hasFile() {
        const { data } = this.props.record;
        return Boolean(data[this.props.name] || data.upload_id);
    }

    get percent() {
        return Math.round(100 * this.state.upload.progress);
    }

    async onPicked({ target }) {
        const [file] = target.files;
        if (file) {
            this.pending = new Promise((resolve) => (this.resolve = resolve));
            // Who leaves the form meanwhile saves it first, and so waits.
            this.props.record.dirty = true;
            this.state.upload = await this.fileUpload.upload(ROUTE, [file]);
        }
        // The same file may be picked once more.
        target.value = "";
    }

    async onLoaded(upload) {
        if (upload.id !== this.state.upload?.id) {
            return;
        }
        let kept = null;
        try {
            kept = JSON.parse(upload.xhr.response);
        } catch {
            // Another page was answered: nobody is logged in any more.
            this.notification.add(_t("%s was not kept: upload it once more.", upload.title), {
                type: "danger",
            });
        }
        try {
            if (kept) {
                await this.props.record.update({
                    upload_id: { id: kept.id, display_name: kept.name },
                    [this.props.fileNameField]: kept.name,
                });
            }
        } finally {
            this.onEnded(upload);
        }
    }

    onEnded(upload) {
        if (upload.id === this.state.upload?.id) {
            this.state.upload = null;
            this.resolve();
        }
    }
}

registry.category("fields").add("reseller_billing_usage_file", {
    ...binaryField,
    component: UsageFileField,
});
