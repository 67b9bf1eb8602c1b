"""What is known of the world's numbering plans: country codes, and each region's own numbers.

Sources: ITU-T E.164 (country codes), the metadata of ``phonenumbers`` (loaded for the first doubtful number). What
does not belong here: where a telephone number stands in a text (``phones``).
"""

from __future__ import annotations

import functools
import re
from typing import Any

COUNTRY_CODES = frozenset(
    (
        "1", "7", "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49",
        "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84", "86", "90",
        "91", "92", "93", "94", "95", "98", "211", "212", "213", "216", "218", "220", "221", "222", "223", "224", "225", "226",
        "227", "228", "229", "230", "231", "232", "233", "234", "235", "236", "237", "238", "239", "240", "241", "242", "243",
        "244", "245", "246", "248", "249", "250", "251", "252", "253", "254", "255", "256", "257", "258", "260", "261", "262",
        "263", "264", "265", "266", "267", "268", "269", "290", "291", "297", "298", "299", "350", "351", "352", "353", "354",
        "355", "356", "357", "358", "359", "370", "371", "372", "373", "374", "375", "376", "377", "378", "379", "380", "381",
        "382", "383", "385", "386", "387", "389", "420", "421", "423", "500", "501", "502", "503", "504", "505", "506", "507",
        "508", "509", "590", "591", "592", "593", "594", "595", "596", "597", "598", "599", "670", "672", "673", "674", "675",
        "676", "677", "678", "679", "680", "681", "682", "683", "685", "686", "687", "688", "689", "690", "691", "692", "800",
        "808", "850", "852", "853", "855", "856", "870", "878", "880", "881", "882", "883", "886", "888", "960", "961", "962",
        "963", "964", "965", "966", "967", "968", "970", "971", "972", "973", "974", "975", "976", "977", "979", "992", "993",
        "994", "995", "996", "998",
    )
)  # fmt: skip
"""Country calling codes in use (E.164)."""

REGIONS = (
    "US", "GB", "DE", "FR", "ES", "IT", "IN", "AU", "NL", "BR", "MX", "JP", "CN", "KR", "RU", "PL", "SE", "CH", "AT", "BE", "PT",
    "IE", "NZ", "ZA", "NO", "DK", "FI", "SG", "TR", "GR", "CZ", "HU", "RO", "UA", "IL", "AE", "SA", "EG", "HK", "TW", "TH", "VN",
    "ID", "MY", "PH", "PK", "AR", "CL", "CO", "PE", "NG", "KE",
)  # fmt: skip
"""Regions whose national spellings are known (ISO 3166-1)."""


@functools.cache
def national_numbers() -> tuple[re.Pattern[str], ...]:
    """Per region, its fixed and mobile numbers with or without the prefix dialled inside the country."""
    from phonenumbers import PhoneMetadata

    patterns = []
    for region in REGIONS:
        metadata: Any = PhoneMetadata.metadata_for_region(region, None)
        parts = [
            part.national_number_pattern
            for part in (metadata.fixed_line, metadata.mobile, metadata.toll_free)
            if part is not None
        ]
        numbers = "|".join(part for part in parts if part)
        patterns.append(re.compile(f"(?:{metadata.national_prefix or ''})?(?:{numbers})"))
    return tuple(patterns)
