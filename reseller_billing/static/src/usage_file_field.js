import { useState } from "@odoo/owl";
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
        useBus(this.fileUpload.bus, "FILE_UPLOAD_LOADED", ({ detail }) => this.onLoaded(detail.upload));
        useBus(this.fileUpload.bus, "FILE_UPLOAD_ERROR", ({ detail }) => this.onFailed(detail.upload));
    }

    get hasFile() {
        const { data } = this.props.record;
        return Boolean(data[this.props.name] || data.upload_id);
    }

    get percent() {
        return Math.round(100 * this.state.upload.progress);
    }

    async onPicked({ target }) {
        if (target.files.length) {
            this.state.upload = await this.fileUpload.upload(ROUTE, [target.files[0]]);
        }
        // The same file may be picked once more.
        target.value = "";
    }

    async onLoaded(upload) {
        if (upload.id !== this.state.upload?.id) {
            return;
        }
        this.state.upload = null;
        const { id, name } = JSON.parse(upload.xhr.response);
        await this.props.record.update({
            upload_id: { id, display_name: name },
            [this.props.fileNameField]: name,
        });
    }

    onFailed(upload) {
        if (upload.id === this.state.upload?.id) {
            this.state.upload = null;
        }
    }
}

registry.category("fields").add("reseller_billing_usage_file", {
    ...binaryField,
    component: UsageFileField,
});
