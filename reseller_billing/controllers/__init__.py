from . import authorize, portal, usage
