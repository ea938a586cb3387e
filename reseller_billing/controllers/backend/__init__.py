"""What the web client calls beside RPC. Uses the models of clients and of usage."""

from . import client_template, usage_file
