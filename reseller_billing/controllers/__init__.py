# From the lowest floor up: a room extends what those below it define.
# isort: off
from . import api
from . import backend
from . import portal
