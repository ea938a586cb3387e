"""Features, their levels, and prices by scope. Uses client and what is below."""

from . import (
    reseller_client,
    reseller_feature,
    reseller_feature_level,
    reseller_price_floor,
    reseller_price_level,
    reseller_price_part,
    reseller_price_rule,
    reseller_price_rule_book,
    reseller_price_rule_draft,
    reseller_price_rule_timeline,
    reseller_price_rule_version,
    reseller_price_rule_words,
    reseller_price_tier,
    reseller_reseller,
)
