# From the lowest floor up: a room extends what those below it define.
# isort: off
from . import pricing
from . import usage
from . import billing
from . import prepaid
from . import lockout
from . import wholesale
from . import books
from . import commission
