from odoo.addons.payment import reset_payment_provider

from . import models


def post_init_hook(env):
    env["payment.provider"]._setup_payment_method("rbtest")


def uninstall_hook(env):
    reset_payment_provider(env, "rbtest")
