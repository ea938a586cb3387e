# Statements that are bills and stand: neither previews nor void.
LIVE = ("approved", "invoiced")
