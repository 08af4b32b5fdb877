"""Scores: what speaks for two reports being about one thing, and what may join."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.civic import read_address
from issues.match import (
    LARGEST_RADIUS_M,
    LEARNED_ACCURACY_M,
    OTHER,
    SAME,
    SIBLING,
    Candidate,
    Joins,
    MatchPolicy,
    Wording,
    assumed_accuracy_m,
    joinable,
    rank_candidates,
    score_candidate,
    suggestible,
)
from tests.issues.towns import NOON

POTHOLES = MatchPolicy(radius_m=25.0, window_days=60, join_threshold=0.6, joins=Joins.AUTOMATIC)
FIRST, SECOND, THIRD = (UUID(int=n) for n in (1, 2, 3))


def candidate(distance_m=6.0, *, id_=FIRST, service="pothole", accuracy_m=8.0, days_old=0.0):
    return Candidate(id_, service, distance_m, accuracy_m, NOON - timedelta(days=days_old))


def match(of, *, accuracy_m=8.0, policy=POTHOLES):
    return score_candidate(of, service_code="pothole", accuracy_m=accuracy_m, policy=policy, now=NOON)


@pytest.mark.parametrize(
    ("of", "joins"),
    [
        (candidate(0.0), True),
        (candidate(6.0), True),
        (candidate(6.0, days_old=59.9), True),
        (candidate(6.0, service="sibling"), True),
        (candidate(15.0), True),
        # Two holes that precise phones place so far apart are two holes.
        (candidate(25.0), False),
        (candidate(21.0, service="sibling", days_old=59.0), False),
        # A phone between high houses says so, and is believed.
        (candidate(24.0, accuracy_m=30.0), True),
        # Who knows the place only to a kilometre says nothing about which hole it is.
        (candidate(6.0, accuracy_m=1000.0), False),
    ],
)
def test_what_joins_at_ordinary_thresholds(of, joins):
    assert bool(joinable([match(of)], POTHOLES)) is joins


@pytest.mark.parametrize(
    "of", [candidate(25.1), candidate(400.0), candidate(days_old=60.1)], ids=["outside the radius", "far", "too old"]
)
def test_what_lies_outside_the_policy_is_no_match_at_all(of):
    assert match(of) is None


@pytest.mark.parametrize("of", [candidate(25.0, accuracy_m=25.0), candidate(days_old=60.0)])
def test_the_limits_themselves_are_inside(of):
    assert match(of) is not None


def test_a_report_received_before_the_issues_last_one_counts_as_fresh():
    assert match(candidate(days_old=-0.001)).score == match(candidate(days_old=0.0)).score


def test_reasons_name_what_was_measured_and_share_out_the_evidence():
    distance, age, service = match(candidate(4.1, days_old=2.5)).reasons

    assert (distance.factor, distance.value, distance.unit) == ("distance", 4.1, "m")
    assert (age.factor, age.value, age.unit) == ("age", 2.5, "d")
    assert (service.factor, service.value, service.unit) == ("service", 1.0, "1")
    assert distance.weight > age.weight > 0 < service.weight
    assert abs(distance.weight) + abs(age.weight) + abs(service.weight) == pytest.approx(1.0, abs=0.002)


def test_a_sibling_service_speaks_against():
    *_, service = match(candidate(service="sibling")).reasons

    assert (service.value, service.weight < 0) == (0.5, True)


def test_the_best_comes_first_then_the_nearer_then_the_lower_id():
    ranked = rank_candidates(
        [
            candidate(9.0, id_=THIRD, days_old=30),
            candidate(6.0, id_=SECOND),
            candidate(6.0, id_=FIRST),
            candidate(99.0, id_=UUID(int=9)),
        ],
        service_code="pothole",
        accuracy_m=8.0,
        policy=POTHOLES,
        now=NOON,
    )

    assert [found.candidate.issue_id for found in ranked] == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize("joins", [Joins.ASK, Joins.NEVER])
def test_only_an_automatic_policy_joins(joins):
    policy = MatchPolicy(25.0, 60, 0.0, joins)

    assert joinable([match(candidate(0.0), policy=policy)], policy) == []


def test_a_window_of_no_days_joins_only_what_is_of_this_moment():
    policy = MatchPolicy(25.0, 0, 0.6, Joins.AUTOMATIC)

    assert match(candidate(days_old=0.0), policy=policy) is not None
    assert match(candidate(days_old=0.01), policy=policy) is None


def test_suggestions_reach_farther_and_never_less_far():
    assert POTHOLES.for_suggestions() == MatchPolicy(75.0, 60, 0.6, Joins.AUTOMATIC)
    wide = MatchPolicy(LARGEST_RADIUS_M, 7, 0.9, Joins.ASK, suggest_radius_m=50.0, suggest_window_days=30)
    assert wide.for_suggestions() == replace(wide, window_days=30)


def test_people_are_asked_about_the_best_five_from_the_services_own_score_on():
    matches = [match(candidate(float(metres))) for metres in (1, 12, 14, 16, 18, 20, 22)]

    assert suggestible(matches, POTHOLES) == matches[:5]
    assert suggestible(matches, replace(POTHOLES, suggest_threshold=matches[2].score)) == matches[:3]
    assert suggestible(matches, replace(POTHOLES, joins=Joins.NEVER)) == []


def test_what_others_have_reported_too_is_likelier_to_be_meant_and_to_be_joined():
    alone, shared = match(candidate()), match(replace(candidate(), reports=3))

    assert alone.score < shared.score
    assert alone.proven < shared.proven
    assert [(reason.value, reason.weight > 0.0) for reason in shared.reasons if reason.factor == "reports"] == [
        (3.0, True)
    ]
    assert all(reason.factor != "reports" for reason in alone.reasons)


def test_the_less_close_a_service_the_less_likely():
    scores = [match(replace(candidate(), closeness=closeness)).score for closeness in (SAME, SIBLING, OTHER)]

    assert scores == sorted(set(scores), reverse=True)
    assert scores[:2] == [match(candidate()).score, match(candidate(service="sibling")).score]


@pytest.mark.parametrize("source", ["gps", "photo", "map", "address", "some other"])
def test_a_position_without_accuracy_gets_one(source):
    assert 5.0 <= assumed_accuracy_m(source) <= 50.0


distances = st.floats(0.0, 25.0)
accuracies = st.floats(0.0, 500.0)
days = st.floats(0.0, 60.0)


@given(distances, distances, accuracies, accuracies, days)
def test_nearer_is_never_less_likely(near, far, accuracy_m, own_accuracy_m, days_old):
    near, far = sorted((near, far))
    scores = [
        match(candidate(d, accuracy_m=accuracy_m, days_old=days_old), accuracy_m=own_accuracy_m).score
        for d in (near, far)
    ]

    assert 0.0 <= scores[1] <= scores[0] <= 1.0


@given(distances, accuracies, days, days)
def test_fresher_is_never_less_likely(distance_m, accuracy_m, fresh, stale):
    fresh, stale = sorted((fresh, stale))
    scores = [match(candidate(distance_m, accuracy_m=accuracy_m, days_old=d)).score for d in (fresh, stale)]

    assert scores[0] >= scores[1]


@given(distances, accuracies, days)
def test_the_same_service_is_always_more_likely_than_a_sibling(distance_m, accuracy_m, days_old):
    same = match(candidate(distance_m, accuracy_m=accuracy_m, days_old=days_old))
    sibling = match(candidate(distance_m, accuracy_m=accuracy_m, days_old=days_old, service="sibling"))

    assert same.score >= sibling.score


def worded(*, address=None, words="", came_back=False, distance_m=6.0):
    of = Candidate(
        FIRST, "pothole", distance_m, 8.0, NOON, came_back=came_back, address=read_address(address), words=words
    )
    wording = Wording(read_address("3408 N Clark St"), "big hole before the bus stop")
    return score_candidate(
        of, service_code="pothole", accuracy_m=8.0, policy=POTHOLES, now=NOON, wording=wording, others_near=2
    )


def test_the_same_street_speaks_for_it_the_more_the_nearer_the_numbers():
    scores = [worded(address=a).score for a in ("3408 N Clark St", "3420 N Clark St", "3600 N Clark St", "8 W Hall St")]

    assert scores == sorted(set(scores), reverse=True)


def test_reasons_say_what_addresses_and_words_tell():
    told = {reason.factor: reason for reason in worded(address="3420 N Clark", words="Big hole, bus stop").reasons}

    assert told["house_numbers"].value == 12.0
    assert told["same_block"].value == 1.0
    assert told["words"].weight > 0.0
    assert sum(abs(reason.weight) for reason in told.values()) == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize(
    ("address", "joins"),
    [("3408 N Clark St", True), ("3412 N Clark St", True), ("3424 N Clark St", False), ("3408 W Addison St", False)],
)
def test_potholes_join_within_a_few_house_numbers(address, joins):
    policy = MatchPolicy(25.0, 60, 0.85, Joins.AUTOMATIC, kind="stretch")
    of = Candidate(FIRST, "pothole", 12.0, 10.0, NOON, address=read_address(address))
    wording = Wording(read_address("3408 N Clark St"))
    scored = score_candidate(of, service_code="pothole", accuracy_m=10.0, policy=policy, now=NOON, wording=wording)

    assert scored is not None
    assert bool(joinable([scored], policy)) is joins


@pytest.mark.parametrize(
    ("own", "others", "bits"),
    [((0b1011,), (0b0010,), 2), ((5, -1), (7, (1 << 64) - 1), 0), ((0,), (-1,), 64)],
    ids=["two bits", "the most alike count, signed or not", "nothing alike"],
)
def test_photos_are_compared_by_the_bits_they_differ_in(own, others, bits):
    of = Candidate(FIRST, "pothole", 6.0, 8.0, NOON, photos=others)
    scored = score_candidate(
        of, service_code="pothole", accuracy_m=8.0, policy=POTHOLES, now=NOON, wording=Wording(photos=own)
    )
    told = next(reason for reason in scored.reasons if reason.factor == "photos")

    assert (told.value, told.weight > 0.0) == (bits, bits < 16)


SHOWN = Wording(words="gros trou devant l'arrêt", photos=(0,))


@given(
    st.sampled_from(["any", "point", "stretch", "premises"]),
    distances,
    accuracies,
    accuracies,
    days,
    st.sampled_from([("", ()), ("gros tou devant l'arret", ()), (SHOWN.words, (0,)), ("graffiti", (-1,))]),
)
def test_nothing_without_labels_behind_it_lifts_a_pair_towards_joining(kind, distance_m, one_m, other_m, age_d, shown):
    policy = MatchPolicy(25.0, 60, 0.6, Joins.AUTOMATIC, kind)
    seen = NOON - timedelta(days=age_d)

    def proven(accuracy_m, own_accuracy_m, words, photos):
        of = Candidate(FIRST, "pothole", distance_m, accuracy_m, seen, words=words, photos=photos)
        return score_candidate(
            of, service_code="pothole", accuracy_m=own_accuracy_m, policy=policy, now=NOON, wording=SHOWN
        ).proven

    assert proven(one_m, other_m, *shown) <= proven(LEARNED_ACCURACY_M, LEARNED_ACCURACY_M, "", ())


def test_words_alone_lift_nothing_over_the_threshold():
    alike, without = worded(words="big hole before the bus stop", distance_m=22.0), worded(distance_m=22.0)
    policy = MatchPolicy(25.0, 60, (alike.score + without.score) / 2.0, Joins.AUTOMATIC)

    assert alike.score > policy.join_threshold > without.score
    assert joinable([alike], policy) == []


def test_a_vague_position_makes_a_match_likelier_to_ask_about():
    assert match(candidate(24.0, accuracy_m=30.0)).score > match(candidate(24.0)).score


def test_what_was_resolved_is_never_joined_unasked():
    back = worded(came_back=True, distance_m=0.0)

    assert back.score < worded(distance_m=0.0).score
    assert joinable([back], MatchPolicy(25.0, 60, 0.0, Joins.AUTOMATIC)) == []
