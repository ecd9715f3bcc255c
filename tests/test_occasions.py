"""Occasions on the local clock, effort after failures, and the independence of records."""

import numpy as np
import pandas as pd
import pytest

from uncia.survey import Independence, SurveyError, SurveyTables
from uncia.survey.effort import DAY, Work, days_between, instants, pieces
from uncia.survey.occasions import boundary_hours, cut, lay, number, occasion_days
from uncia.survey.tables import FAILURES, IDENTITIES, RECORDS, empty

ZONE = "Asia/Shanghai"


def times(*text, zone=ZONE):
    return pd.to_datetime(list(text), format="ISO8601").tz_localize(zone).as_unit("us")


def survey(deployments, failures=(), records=()):
    """Tables of rows (deployment, location, start, end[, timestamp issues]), (deployment, start, end, reason), …"""
    rows = [(*row, False)[:5] for row in deployments]
    d = pd.DataFrame(rows, columns=["deployment", "location", "start", "end", "timestamp_issues"])
    d["start"], d["end"] = times(*d["start"]), times(*d["end"])
    f = pd.DataFrame(failures, columns=["deployment", "start", "end", "reason"])
    f["start"], f["end"] = times(*f["start"]), times(*f["end"])
    r = pd.DataFrame(records, columns=["deployment", "time"])
    r["time"] = times(*r["time"])
    f, r = (f.assign(row=2) if len(f) else empty(FAILURES, ZONE)), (r if len(r) else empty(RECORDS, ZONE))
    return SurveyTables(d, f, r, empty(IDENTITIES), ZONE)


def effort(tables, first, last, **how):
    occasions = cut(times(first)[0], times(last)[0], timezone=ZONE, **how)
    edges = np.append(instants(occasions["start"]), instants(occasions["end"].tail(1)))
    return Work(tables, edges, pd.Index(tables.deployments["location"].unique())).effort


class TestCut:
    def test_noon_to_noon(self):
        days = cut(times("2024-05-01 15:00")[0], times("2024-05-03 09:00")[0], timezone=ZONE)
        assert list(days["start"]) == list(times("2024-05-01 12:00", "2024-05-02 12:00"))
        assert days["end"].iloc[-1] == times("2024-05-03 12:00")[0]
        assert list(days.index) == [1, 2]

    def test_before_noon_belongs_to_the_day_before(self):
        days = cut(times("2024-05-01 09:00")[0], times("2024-05-01 15:00")[0], timezone=ZONE)
        assert list(days["start"]) == list(times("2024-04-30 12:00", "2024-05-01 12:00"))

    def test_midnight_and_any_time(self):
        midnight = cut(times("2024-05-01 09:00")[0], times("2024-05-02 00:00")[0], boundary="midnight", timezone=ZONE)
        assert len(midnight) == 1
        assert boundary_hours("06:30") == pd.Timedelta(hours=6.5)

    def test_long_occasions_cover_the_end(self):
        weeks = cut(times("2024-05-01 12:00")[0], times("2024-05-10 12:00")[0], length=7, timezone=ZONE)
        assert len(weeks) == 2
        assert weeks["end"].iloc[-1] == times("2024-05-15 12:00")[0]

    def test_clock_change_makes_days_of_23_and_25_hours(self):
        for date, hours in (("2024-03-30", 23), ("2024-10-26", 25)):
            day = lay(pd.Timestamp(date), 1, timezone="Europe/Brussels")
            assert (day["end"] - day["start"]).iloc[0] == pd.Timedelta(hours=hours)

    def test_boundary_in_the_hour_that_is_skipped_or_comes_twice(self):
        spring = lay(pd.Timestamp("2024-03-30"), 2, boundary="02:30", timezone="Europe/Brussels")
        assert spring["start"].iloc[1] == pd.Timestamp("2024-03-31 03:00", tz="Europe/Brussels")
        autumn = lay(pd.Timestamp("2024-10-26"), 2, boundary="02:30", timezone="Europe/Brussels")
        assert autumn["start"].iloc[1].utcoffset() == pd.Timedelta(hours=2)

    def test_local_day_and_not_utc(self):
        """Between midnight and 8:00 in China it is yesterday in Greenwich: the peak hours of a cat of the night."""
        days = cut(times("2024-05-01 00:00")[0], times("2024-05-03 00:00")[0], boundary="midnight", timezone=ZONE)
        edges = np.append(instants(days["start"]), instants(days["end"].tail(1)))
        assert number(instants(times("2024-05-02 03:00")), edges) == [2]

    def test_number_outside(self):
        assert list(number(np.array([-1, 0, 9, 10, 11]), np.array([0, 10]))) == [0, 1, 1, 0, 0]

    @pytest.mark.parametrize(("text", "days"), [("1 day", 1), ("5 nights", 5), ("2 weeks", 14), (7, 7), ("10", 10)])
    def test_length(self, text, days):
        assert occasion_days(text) == days

    @pytest.mark.parametrize("text", ["0 days", "half a day", "1.5", "-1"])
    def test_no_length(self, text):
        with pytest.raises(SurveyError, match="length of an occasion"):
            occasion_days(text)


class TestEffort:
    def test_fractions_on_the_first_and_last_day(self):
        e = effort(survey([("a", "A", "2024-05-01 18:00", "2024-05-03 00:00")]), "2024-05-01 18:00", "2024-05-03 00:00")
        np.testing.assert_allclose(e[:, 0], [0.75, 0.5])

    def test_two_cameras_at_one_place_count_once(self):
        pair = [("a", "A", "2024-05-01 12:00", "2024-05-03 12:00"), ("b", "A", "2024-05-02 00:00", "2024-05-04 12:00")]
        e = effort(survey(pair), "2024-05-01 12:00", "2024-05-04 12:00")
        np.testing.assert_array_equal(e, [[1.0], [1.0], [1.0]])

    def test_the_partner_covers_a_failure(self):
        pair = [("a", "A", "2024-05-01 12:00", "2024-05-03 12:00"), ("b", "A", "2024-05-01 12:00", "2024-05-02 06:00")]
        lost = [("a", "2024-05-02 00:00", "2024-05-03 00:00", "snow")]
        e = effort(survey(pair, lost), "2024-05-01 12:00", "2024-05-03 12:00")
        np.testing.assert_allclose(e[:, 0], [0.75, 0.5])

    def test_places_of_pairs(self):
        pair = [("a", "A", "2024-05-01 12:00", "2024-05-03 12:00"), ("b", "A", "2024-05-02 12:00", "2024-05-04 12:00")]
        table = survey(pair).effort(by="location")
        assert table.to_dict("records") == [{"location": "A", "worked": 3.0}]

    def test_overlapping_failures_are_lost_once(self):
        lost = [
            ("a", "2024-05-02 00:00", "2024-05-03 00:00", "snow"),
            ("a", "2024-05-02 12:00", "2024-05-03 12:00", "fog"),
        ]
        tables = survey([("a", "A", "2024-05-01 12:00", "2024-05-05 12:00")], lost)
        np.testing.assert_allclose(effort(tables, "2024-05-01 12:00", "2024-05-05 12:00")[:, 0], [0.5, 0.0, 1.0, 1.0])
        table = tables.effort().iloc[0]
        assert (table["set"], table["lost"], table["worked"]) == (4.0, 1.5, 2.5)

    def test_failure_beyond_the_deployment(self):
        lost = [("a", "2024-05-04 12:00", "2024-06-01 12:00", "stolen")]
        tables = survey([("a", "A", "2024-05-01 12:00", "2024-05-05 12:00")], lost)
        assert tables.lost().to_dict("records") == [
            {"reason": "stolen", "failures": 1, "deployments": 1, "camera_days": 1.0}
        ]

    def test_unknown_end_is_missing_effort_and_never_zero(self):
        """Known until the occasion of the last record; nothing is learned from then on."""
        tables = survey(
            [("a", "A", "2024-05-01 12:00", None), ("b", "B", "2024-05-01 12:00", "2024-05-06 12:00")],
            records=[("a", "2024-05-03 20:00")],
        )
        e = effort(tables, "2024-05-01 12:00", "2024-05-06 12:00")
        np.testing.assert_array_equal(e[:, 0], [1.0, 1.0, np.nan, np.nan, np.nan])
        np.testing.assert_array_equal(e[:, 1], np.ones(5))
        assert np.isnan(tables.effort()["worked"].iloc[0])

    def test_wrong_clock_is_missing_effort_unless_a_partner_worked(self):
        rows = [
            ("a", "A", "2024-05-01 12:00", "2024-05-03 12:00", True),
            ("b", "A", "2024-05-02 12:00", "2024-05-04 12:00"),
        ]
        np.testing.assert_array_equal(
            effort(survey(rows), "2024-05-01 12:00", "2024-05-04 12:00")[:, 0], [np.nan, 1, 1]
        )

    def test_calendar(self):
        tables = survey(
            [("a", "A", "2024-05-01 18:00", "2024-05-04 06:00"), ("b", "B", "2024-05-03 00:00", "2024-05-05 00:00")],
            [("a", "2024-05-02 00:00", "2024-05-03 12:00", "snow")],
        )
        calendar = tables.calendar()
        np.testing.assert_array_equal(calendar.loc["a"], [0.25, 0.0, 0.5, 0.25])
        np.testing.assert_array_equal(calendar.loc["b"], [np.nan, np.nan, 1.0, 1.0])
        assert calendar.to_numpy()[0].sum() == tables.effort()["worked"].iloc[0]

    def test_pieces_against_a_minute_by_minute_count(self):
        rng = np.random.default_rng(1)
        unit, start = rng.integers(0, 3, 40), rng.integers(0, 900, 40)
        off_unit, off_start = rng.integers(0, 3, 15), rng.integers(0, 900, 15)
        end, off_end = start + rng.integers(1, 60, 40), off_start + rng.integers(1, 60, 15)
        minute = np.zeros((3, 1000), bool)
        for u, a, b in zip(unit, start, end, strict=True):
            minute[u, a:b] = True
        for u, a, b in zip(off_unit, off_start, off_end, strict=True):
            minute[u, a:b] = False
        u, a, b = pieces(unit, start, end, off_unit, off_start, off_end)
        edges = np.arange(0, 1001, 100)
        np.testing.assert_allclose(days_between(u, a, b, edges, 3) * DAY, minute.reshape(3, 10, 100).sum(2).T)
        assert np.all(b > a)


class TestIndependence:
    MINUTES = np.array([0, 20, 40, 60, 80, 100, 120, 200]) * 60_000_000

    @pytest.mark.parametrize(("since", "kept"), [("last record", 2), ("last independent record", 4)])
    def test_a_busy_animal(self, since, kept):
        """The example of the field: eight records in 200 minutes with an hour between."""
        rule = Independence(since, 60)
        assert rule.keep(np.zeros(8, int), self.MINUTES).sum() == kept
        shuffled = np.random.default_rng(1).permutation(8)
        np.testing.assert_array_equal(
            rule.keep(np.zeros(8, int), self.MINUTES[shuffled])[np.argsort(shuffled)],
            rule.keep(np.zeros(8, int), self.MINUTES),
        )

    def test_animals_and_places_apart(self):
        assert Independence(minutes=60).keep(np.array([0, 1, 0, 1]), np.zeros(4, int)).sum() == 2

    def test_nothing_asked(self):
        rule = Independence.parse(None)
        assert list(rule.keep(np.zeros(3, int), np.array([0, 0, 1]))) == [True, False, True]
        assert rule.repeated == "of the same moment"

    def test_the_ways_to_say_it(self):
        four_hours = Independence("last record", 240)
        assert Independence.parse(("last record", 240)) == four_hours
        assert Independence.parse(["last record", "4 hours"]) == four_hours
        assert Independence.parse(str(four_hours)) == four_hours
