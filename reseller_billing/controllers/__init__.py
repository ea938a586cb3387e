from . import authorize, usage
