# From the lowest floor up: a room extends what those below it define.
# isort: off
from . import base
from . import client
from . import pricing
from . import usage
from . import billing
from . import documents
from . import prepaid
from . import lockout
from . import collection
from . import gate
from . import wholesale
from . import books
from . import commission
from . import portal
