"""Without the extra, one clear line says which packages to install."""

import pytest

from smartclip.export.extra import needed
from theory.errors import InputError


def test_a_missing_package_is_told_with_its_extra():
    with pytest.raises(InputError, match=r"smartclip-testbed\[export\]"):
        needed("a_package_that_nobody_has")
    assert needed("json").dumps([]) == "[]"
