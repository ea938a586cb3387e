"""What the web client calls beside RPC. Uses the models of usage."""

from . import usage_file
