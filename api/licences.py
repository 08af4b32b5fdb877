"""Where the licences are to be read that cities publish their data under."""

from typing import Final

_CREATIVE_COMMONS: Final = "https://creativecommons.org"
_OPEN_DATA_COMMONS: Final = "https://opendatacommons.org/licenses"
# By their names in small letters, without spaces and hyphens.
_PAGES: Final = {
    **{
        f"cc{kind.replace('-', '')}{version}": f"{_CREATIVE_COMMONS}/licenses/{kind}/{version}/"
        for kind in ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd")
        for version in ("2.0", "2.5", "3.0", "4.0")
    },
    "cc0": f"{_CREATIVE_COMMONS}/publicdomain/zero/1.0/",
    "cc01.0": f"{_CREATIVE_COMMONS}/publicdomain/zero/1.0/",
    "odbl": f"{_OPEN_DATA_COMMONS}/odbl/1-0/",
    "odbl1.0": f"{_OPEN_DATA_COMMONS}/odbl/1-0/",
    "odcby1.0": f"{_OPEN_DATA_COMMONS}/by/1-0/",
    "pddl1.0": f"{_OPEN_DATA_COMMONS}/pddl/1-0/",
}


def licence_page(licence: str) -> str | None:
    """Find the page of a licence by its name, such as `CC BY 4.0` or `ODbL 1.0`; one that is an address is its own.

    Returns:
        None where nobody here knows it.
    """
    if licence.startswith(("https://", "http://")):
        return licence
    return _PAGES.get(licence.casefold().replace(" ", "").replace("-", ""))
