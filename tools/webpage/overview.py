"""What the page shows of a range of days: sums of whole hours, and nothing finer.

Every number is made of rows of `hours`, which are made of whole windows
(`tools.collection.hourly`). A request names days and devices; no other bounds can be asked for.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from edge.audit.report import Share
from edge.delivery.messages import DWELL_BINS
from edge.types import AGES
from tools.collection import hourly
from tools.collection.correction import Row, correct_together
from tools.collection.hourly import HOUR_S, Sums
from tools.collection.info import read_audit
from tools.collection.store import DeviceSpan, Store
from tools.webpage.calendar import Calendar, Days
from tools.webpage.watch import Key, Live, Watch

HEAT_DAYS = 28
"""The heat map has at least so many days, up to the range's last."""
WATCHED_ENOUGH = 0.5
"""An hour counts in the heat map if at least this share of it was watched."""


class Question(NamedTuple):
    """What may be asked for."""

    days: Days
    devices: tuple[Key, ...]
    """All if there are none."""


class Overview:
    """Answers questions from a store and what is known of the devices now."""

    def __init__(self, store: Store, calendar: Calendar, min_people: int) -> None:
        self._store, self._calendar, self._min_people = store, calendar, min_people

    def answer(self, question: Question, live: Live, now: float) -> dict[str, Any]:
        """As JSON. Raises StoreError."""
        calendar, days = self._calendar, question.days
        spans = self._spans()
        names = sorted(spans.keys() | live.keys())
        chosen = _chosen(names, question)
        watch = Watch([spans[name] for name in chosen if name in spans], live, now)
        start, end = calendar.bounds(days)
        hours = self._store.hours(start, end, chosen)
        before = self._store.hours(*calendar.bounds(days.earlier()), chosen)
        total = hourly.add(hours.values())
        return {
            "zone": calendar.zone.key,
            "now": now,
            "today": calendar.local(now).date().isoformat(),
            "from": days.first.isoformat(),
            "to": days.last.isoformat(),
            "earlier_from": days.earlier().first.isoformat(),
            "min_people": self._min_people,
            "all": [self._listed(name, spans.get(name), name in live) for name in names],
            "devices": ["/".join(name) for name in chosen],
            "step": days.step,
            "slots": self._slots(days, hours, before, watch),
            "total": _total(total),
            "uncollected": self._uncollected(days, chosen, spans, live, now),
            "earlier": self._earlier(days, before, watch, now),
            "estimate": self._estimate(start, end, chosen),
            "watched": watch.share(total.seen, start, end),
            "audit": self._audit(chosen, live),
            "gaps": [gap._asdict() for gap in self._store.gaps(start, end, chosen)],
        }  # fmt: skip

    def _spans(self) -> dict[Key, DeviceSpan]:
        return {(span.site, span.device): span for span in self._store.devices()}

    def heat(self, question: Question, live: Live, now: float) -> dict[str, Any]:
        """Mean people by weekday, Monday first, and hour of the day. As JSON. Raises StoreError."""
        days = _heat_days(question.days)
        start, end = self._calendar.bounds(days)
        spans = self._spans()
        chosen = _chosen(sorted(spans), question)
        watch = Watch([spans[name] for name in chosen], live, now)
        cells: list[list[list[int]]] = [[[] for _ in range(24)] for _ in range(7)]
        for hour, (people, seen) in self._store.people(start, end, chosen).items():
            share = watch.share(seen, hour, hour + HOUR_S)
            if hour + HOUR_S <= now and share is not None and share >= WATCHED_ENOUGH:
                local = self._calendar.local(hour)
                cells[local.weekday()][local.hour].append(people)
        means = [[sum(c) / len(c) if c else None for c in row] for row in cells]
        return {"from": days.first.isoformat(), "to": days.last.isoformat(), "means": means}

    def by_hour(self, question: Question) -> dict[tuple[str, str, int], Sums]:
        """Each hour of each device. Raises StoreError."""
        chosen = _chosen(sorted(self._spans()), question)
        return self._store.by_device_and_hour(*self._calendar.bounds(question.days), chosen)

    def _listed(self, name: Key, span: DeviceSpan | None, is_live: bool) -> dict[str, Any]:
        date = None if span is None else self._calendar.local(span.first).date().isoformat()
        return {"site": name[0], "device": name[1], "since": date, "live": is_live}

    def _slots(
        self, days: Days, hours: Mapping[int, Sums], before: Mapping[int, Sums],
        watch: Watch,
    ) -> list[dict[str, Any]]:  # fmt: skip
        shift = days.shift
        earlier: dict[int, int] = {}
        for hour in before:
            # the hour that this one is compared with
            later = self._calendar.same_hour(hour, -shift)
            earlier[later] = earlier.get(later, 0) + before[hour].people
        order, earlier_order = sorted(hours), sorted(earlier)
        slots = []
        for begin, end in self._calendar.slots(days):
            sums = hourly.add(hours[hour] for hour in _between(order, begin, end))
            compared = [earlier[hour] for hour in _between(earlier_order, begin, end)]
            watched = watch.share(sums.seen, begin, end)
            slots.append({
                "start": self._calendar.local(begin).isoformat(),
                "end": self._calendar.local(end).isoformat(),
                "people": sums.people if sums.windows or watched is not None else None,
                **_genders(sums),
                "peak": sums.peak,
                "watched": watched,
                "before": sum(compared) if compared else None,
            })  # fmt: skip
        return slots

    def _earlier(
        self, days: Days, before: Mapping[int, Sums], watch: Watch, now: float
    ) -> dict[str, Any]:
        """People of the earlier days, up to the same time if the range is not over yet.

        None if these days are not all collected: then there is nothing to compare with.
        """
        people = 0.0
        start, end = self._calendar.bounds(days)
        is_whole = watch.first <= self._calendar.bounds(days.earlier())[0] + HOUR_S
        for hour, sums in before.items():
            begin = self._calendar.same_hour(hour, -days.shift)
            people += sums.people * min(1.0, max(0.0, (now - begin) / HOUR_S))
        return {
            "people": round(people) if before and is_whole else None,
            "is_over": now >= end,
            "weeks": days.shift // 7,
            "until": self._calendar.local(min(max(now, start), end)).isoformat(),
        }

    def _uncollected(
        self, days: Days, chosen: Iterable[Key], spans: Mapping[Key, DeviceSpan], live: Live,
        now: float,
    ) -> int:  # fmt: skip
        """People of today whom devices counted before this program began to collect."""
        today = self._calendar.local(now).date()
        if days.last != today:
            return 0
        counted: dict[Key, int] = {}
        for name in chosen:
            span, device = spans.get(name), live.get(name)
            if span is not None and self._calendar.local(span.first).date() < today:
                continue
            totals = (device.state if device else {}).get("today", {})
            if isinstance(totals, dict) and totals.get("date") == today.isoformat():
                total = totals.get("total")
                if isinstance(total, int):
                    counted[name] = total
        start, end = self._calendar.bounds(Days(today, today))
        kept = self._store.people_by_device(start, end, list(counted))
        return sum(max(0, total - kept.get(name, 0)) for name, total in counted.items())

    def _audit(self, chosen: Iterable[Key], live: Live) -> dict[str, Any] | None:
        """What share of the people is counted, as `edge audit` found at these devices together."""
        audits = [read_audit(live[name].info) for name in chosen if name in live]
        found = [audit for audit in audits if audit is not None]
        if not found:
            return None
        tapped = sum(audit.tapped for audit in found)
        counted = Share(tapped - sum(audit.missed for audit in found), tapped)
        days = sorted(self._calendar.local(audit.at.timestamp()).date() for audit in found)
        low, high = counted.interval
        return {
            "devices": len(found), "from": days[0].isoformat(), "to": days[-1].isoformat(),
            "tapped": tapped, "counted": counted.part / tapped, "low": low, "high": high,
        }  # fmt: skip

    def _estimate(self, start: int, end: int, devices: list[Key]) -> dict[str, Any]:
        matrices = self._store.matrices()
        counts = []
        for (device, model), sums in self._store.by_model(start, end, devices).items():
            row = Row(sums.female, sums.male, sums.told - sums.female - sums.male)
            counts.append((model, matrices.get((device, model)), row))
        estimate, notes = correct_together(counts)
        notes = [" ".join(note.split()) for note in notes]
        return {"notes": notes, **(estimate._asdict() if estimate else {})}


def _chosen(names: Iterable[Key], question: Question) -> list[Key]:
    asked = set(question.devices)
    return [name for name in names if not asked or name in asked]


def _heat_days(days: Days) -> Days:
    if days.number >= HEAT_DAYS:
        return days
    return Days(days.last - timedelta(days=HEAT_DAYS - 1), days.last)


def _between(hours: list[int], start: int, end: int) -> list[int]:
    return hours[bisect_left(hours, start) : bisect_left(hours, end)]


def _genders(sums: Sums) -> dict[str, int]:
    """Women, men, and everybody of whom neither is told."""
    return {
        "female": sums.female,
        "male": sums.male,
        "untold": sums.people - sums.female - sums.male,
    }


def _total(sums: Sums) -> dict[str, Any]:
    is_attention = sums.attention_people > 0
    bins = sums.attention_bins if is_attention else sums.dwell_bins
    people = sums.attention_people if is_attention else sums.dwell_people
    seconds = sums.attention_total if is_attention else sums.dwell_total
    return {
        "people": sums.people,
        **_genders(sums),
        "told": sums.told,
        "unknown": sums.told - sums.female - sums.male,
        "withheld": sums.people - sums.told,
        "peak": sums.peak,
        "stay": {
            "is_attention": is_attention,
            "people": people,
            "mean": seconds / people if people else None,
            "bins": [{"label": f"{name} s", "people": n}
                     for name, n in zip(DWELL_BINS, bins, strict=True)],
        },
        "ages": {
            "people": sums.aged,
            "groups": [{"label": name, "people": n}
                       for name, n in zip(AGES, sums.ages, strict=True)],
        },
    }  # fmt: skip
