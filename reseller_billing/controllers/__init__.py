from . import authorize
