"""Odoo's command line as a script: servers of several processes start themselves again by its name."""

from odoo.cli.command import main

main()
