import pytest

from api.map_upkeep import pause_s


@pytest.mark.parametrize(("took_s", "waits_s"), [(0.0, 1.0), (0.05, 1.0), (0.2, 3.8), (1.0, 19.0), (60.0, 30.0)])
def test_counting_takes_a_twentieth_of_the_time_and_comes_back_within_half_a_minute(took_s, waits_s):
    assert pause_s(took_s, every_s=1.0) == pytest.approx(waits_s)
