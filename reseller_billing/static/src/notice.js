import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

const SOFT_RELOAD = { type: "ir.actions.client", tag: "soft_reload" };
const CLOSE = { type: "ir.actions.act_window_close" };

/** Says what was done, with a way to what was made, and back; see make_notice. */
async function showNotice(env, { params }) {
    const { action, notification, orm } = env.services;
    let close = null;
    const buttons = [];
    if (params.view) {
        buttons.push({
            name: _t("Show it"),
            primary: true,
            onClick: () => {
                close();
                action.doAction(params.view);
            },
        });
    }
    if (params.undo) {
        buttons.push({
            name: _t("Take back"),
            onClick: async () => {
                close();
                const { model, ids, method } = params.undo;
                await orm.call(model, method, [ids]);
                notification.add(_t("Taken back."), { type: "info" });
                action.doAction(SOFT_RELOAD);
            },
        });
    }
    await action.doAction(CLOSE);
    close = notification.add(params.message, {
        type: params.kind,
        sticky: params.kind !== "success",
        autocloseDelay: buttons.length ? 12000 : 4000,
        buttons,
    });
    return SOFT_RELOAD;
}

registry.category("actions").add("reseller_billing_notice", showNotice);
