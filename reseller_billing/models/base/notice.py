"""What users are told: once something is done, in a line, with a way to what was made, and back; and of lists."""

# What an action shows, and how.
SHOWN = ("type", "res_model", "view_mode", "views", "search_view_id", "help", "target", "limit")


def make_notice(records, message, undo=None, kind="success", name=None):
    """Return the client action that says what was done, closes a dialog, and reloads what is shown.

    :param records: what was made, offered to be opened; none where there is nothing to show
    :param str message: in the user's language
    :param undo: the name of a method of the records that takes it back, offered beside it; of what can be
        taken back as if it had not been
    :param str kind: success, info, warning or danger; what is no success stays until it is closed
    :param str name: what the list of the records is called
    """
    return {
        "type": "ir.actions.client",
        "tag": "reseller_billing_notice",
        "params": {
            "message": message,
            "kind": kind,
            "view": records._get_records_action(**({"name": name} if name else {}))
            if records
            else False,
            "undo": {"model": records._name, "ids": records.ids, "method": undo} if undo else False,
        },
    }


def list_action(env, xmlid, name, domain, /, **context):
    """Return an action of ours as it is, with its views and with what it says of an empty list, for some records.

    :param str xmlid: of an ir.actions.act_window; what it filters and presets stays behind
    :param str name: of the page
    :param domain: of the records
    :param context: of the action
    """
    action = env["ir.actions.act_window"]._for_xml_id(xmlid)
    # With its id it would take on the filters that somebody has made the default of its menu.
    kept = {key: action[key] for key in SHOWN if key in action}
    return {**kept, "name": name, "domain": list(domain), "context": context}
