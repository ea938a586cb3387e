"""How a quantity becomes money: the pricing core, in pure Python.

Nothing here knows Odoo or a database. It takes rules, dated memberships, enrolments and daily
use, and returns charges. Quantities and prices are exact decimals; an amount is rounded once, in
`money.round_to`.
"""

from .account import Account, Bill, Feature
from .allowance import FREE_KINDS
from .bill import FeatureBill
from .charges import Charge
from .components import Billed, Key, Span
from .cycle_use import CycleUse
from .cycles import DAY, Cycle, Interval, bill_dates_after, cycle_of
from .money import exact, exact_of, round_to, text
from .prepaid import Draw, Prepaid, UnitLot
from .rules import Enrolment, LevelTerms, Membership, Rule, Terms, Tier
from .sharing import share_by, share_out
from .timeline import FirstEnrolment, Timeline
from .trace import amount_from_trace, unserved_from_trace
from .usage import Usage, UsageRow, expect
