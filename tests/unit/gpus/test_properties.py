"""What holds of every pool, whatever the GPUs, the wishes and their order. The rules are written down here once more,
plainly, so that the pool is held to something other than itself."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import event, given, settings
from hypothesis import strategies as st

from labctl.gpus.allocation import Pool, refusal
from labctl.gpus.inventory import Allocation, Gpu, GpuProcess, HeldGpu, Holding, Inventory, MigInstance, SharingMode
from labctl.gpus.need import Need, modes
from tests.unit.gpus.inventories import SESSIONS, after, inventories, needs

CASES = settings(max_examples=2500, deadline=None, derandomize=True, database=None)
ACTIONS = st.tuples(
    st.sampled_from(("take", "take", "take", "give_back", "reserve")), st.sampled_from(SESSIONS), needs()
)
Unit = Gpu | MigInstance
Shares = dict[str, list[tuple[str, HeldGpu]]]
"""By UUID, who holds what of it: the plainest ledger there is."""


def units_of(gpu: Gpu) -> list[Unit]:
    return [gpu, *gpu.mig]


def version(text: str) -> list[int]:
    return [int(part) for part in text.lstrip("=>").split(".")]


def capable(gpu: Gpu, need: Need) -> bool:
    if need.compute_capability is None or gpu.compute_capability is None:
        return True
    has, wanted = version(gpu.compute_capability), version(need.compute_capability)
    return has == wanted if need.compute_capability.startswith("==") else has >= wanted


def room(unit: Unit, held: Sequence[tuple[str, HeldGpu]]) -> float:
    """The most that somebody else may be promised of `unit`."""
    total, free = unit.memory_total_mib, unit.memory_free_mib
    if not held:
        return min(float("inf") if total is None else total, float("inf") if free is None else free)
    if total is None or free is None:
        return 0
    promised = {session: sum(gpu.memory_mib or 0 for other, gpu in held if other == session) for session, _ in held}
    unused = 0
    for session, share in promised.items():
        used = sum(process.memory_mib or 0 for process in unit.processes or () if process.session == session)
        unused += max(0, share - used)
    return max(0, min(total - sum(promised.values()), free - unused))


def strangers(unit: Unit) -> list[GpuProcess]:
    """Whoever computes on a unit that nobody holds."""
    return list(unit.processes or ())


def could_serve(inventory: Inventory, held: Shares, need: Need) -> dict[SharingMode, set[str]]:
    """For each mode the UUIDs that serve one GPU of `need`, by trying all of them."""
    serving: dict[SharingMode, set[str]] = {}
    for mode in modes(need.sharing, need.isolation):
        units = [(gpu, unit) for gpu in inventory.gpus for unit in units_of(gpu) if (unit is gpu) != (mode == "mig")]
        serving[mode] = {
            unit.uuid
            for gpu, unit in units
            if gpu.uuid and gpu.health.ok and capable(gpu, need) and gpu.mig_enabled == (mode == "mig")
            if serves(unit, held.get(unit.uuid, []), need, mode, mps=inventory.mps)
        }
    return serving


def serves(unit: Unit, held: Sequence[tuple[str, HeldGpu]], need: Need, mode: SharingMode, *, mps: bool) -> bool:
    if room(unit, held) < need.memory_mib:
        return False
    if mode in ("exclusive", "mig"):
        return not held and not strangers(unit) and (mode != "mig" or need.count == 1)
    return need.memory_mib > 0 and (mode != "mps" or mps) and all(gpu.sharing == mode for _, gpu in held)


def check_granted(inventory: Inventory, held: Shares, need: Need, given_: Allocation) -> None:
    """An allocation is what was asked for, and takes nothing from anybody."""
    uuids = [gpu.uuid for gpu in given_.gpus]
    assert len(uuids) == len(set(uuids)) == need.count
    (mode,) = {gpu.sharing for gpu in given_.gpus}
    assert set(uuids) <= could_serve(inventory, held, need)[mode]
    units = {unit.uuid: unit for gpu in inventory.gpus for unit in units_of(gpu)}
    for gpu in given_.gpus:
        assert gpu.total_mib == units[gpu.uuid].memory_total_mib
        assert gpu.memory_mib == (need.memory_mib if mode in ("mps", "timeslice") else gpu.total_mib)


def check_refused(inventory: Inventory, held: Shares, need: Need, pool: Pool) -> None:
    """Nothing that was refused could have been had, and every GPU that does not serve says why."""
    serving = could_serve(inventory, held, need)
    assert all(len(uuids) < need.count for uuids in serving.values())
    whys = pool.why_not(need)
    assert all(why and not why.endswith("; ") for _, why in whys)
    if need.count == 1:
        assert [gpu.index for gpu, _ in whys] == [gpu.index for gpu in inventory.gpus]
    assert len(inventory.gpus) - len(whys) == max((len(uuids) for uuids in serving.values()), default=0)
    assert refusal(pool, need)


def check_never_over_committed(inventory: Inventory, held: Shares) -> None:
    for gpu in inventory.gpus:
        for unit in units_of(gpu):
            holders = held.get(unit.uuid, [])
            assert len({each.sharing for _, each in holders}) <= 1
            if any(each.sharing in ("exclusive", "mig") for _, each in holders):
                assert len(holders) == 1
            elif holders and unit.memory_total_mib is not None:
                assert sum(each.memory_mib or 0 for _, each in holders) <= unit.memory_total_mib
            assert len(holders) < 2 or None not in (unit.memory_total_mib, unit.memory_free_mib)


def record(held: Shares, session: str, allocation: Allocation) -> None:
    for gpu in allocation.gpus:
        held.setdefault(gpu.uuid, []).append((session, gpu))


def forget(held: Shares, session: str) -> None:
    for uuid in held:
        held[uuid] = [each for each in held[uuid] if each[0] != session]


@CASES
@given(inventories(), st.lists(ACTIONS, max_size=12))
def test_memory_is_never_promised_twice_and_every_answer_is_right(
    inventory: Inventory, actions: list[tuple[str, str, Need]]
) -> None:
    pool, held, aside = Pool(inventory), Shares(), False
    for action, session, need in actions:
        if action == "give_back":
            pool.give_back(session)
            forget(held, session)
            continue
        given_ = pool.reserve(need, session) if action == "reserve" else pool.take(need, session)
        event(f"{action}: {'given' if given_ else 'refused'}")
        if given_:
            check_granted(inventory, held, need, given_)
            record(held, session, given_)
        elif action == "reserve":
            aside = True  # from now on something may be refused that is free: it is somebody else's
        elif not aside:
            check_refused(inventory, held, need, pool)
        check_never_over_committed(inventory, held)


@CASES
@given(inventories(), st.lists(st.tuples(st.sampled_from(SESSIONS), needs()), min_size=1, max_size=6), needs())
def test_what_a_crashed_holder_gave_back_can_be_had_again(
    inventory: Inventory, before: list[tuple[str, Need]], need: Need
) -> None:
    """And a pool that was told of the holdings answers as the one that gave them out."""
    pool = Pool(inventory)
    taken = [(session, given_) for session, each in before if (given_ := pool.take(each, session))]
    answer = pool.take(need, "crashed")
    event(f"{'given' if answer else 'refused'} after {len(taken)}")
    pool.give_back("crashed")
    assert pool.take(need, "crashed") == answer
    holdings = [
        Holding(session=session, lab="lab", learner=session, gpu=gpu) for session, each in taken for gpu in each.gpus
    ]
    again = Pool(inventory, holdings)
    assert again.take(need, "another") == answer
    assert pool.why_not(need) == pool.why_not(need)


@CASES
@given(inventories(most=6), needs(4), st.booleans())
def test_the_same_questions_get_the_same_answers_and_waiting_takes_nothing_it_cannot_use(
    inventory: Inventory, need: Need, reverse: bool
) -> None:
    order = inventory.gpus[::-1] if reverse else inventory.gpus
    shuffled = Inventory(source="test", gpus=order, links=inventory.links, mps=inventory.mps)
    first, second = Pool(inventory), Pool(shuffled)
    assert first.take(need) == second.take(need)
    assert {gpu.index: why for gpu, why in first.why_not(need)} == {gpu.index: why for gpu, why in second.why_not(need)}
    waiting, bare = Pool(inventory), Pool(inventory)
    got = waiting.reserve(need, "first")
    assert got == bare.take(need, "first")
    if not got:  # nobody holds anything, so that nobody's leaving could help: everything stays to be had
        assert all(waiting.why_not(other) == bare.why_not(other) for other in (need, Need(), Need(sharing="any")))


@CASES
@given(
    inventories(least=1, most=3, sessions=False),
    needs(2),
    st.lists(st.tuples(needs(1), st.integers(1, 9)), min_size=2, max_size=8),
    st.lists(st.tuples(needs(1), st.integers(1, 9)), min_size=1, max_size=4),
    st.booleans(),
)
def test_whoever_is_first_in_the_queue_is_served_though_small_requests_keep_coming(
    inventory: Inventory,
    wanted: Need,
    early: list[tuple[Need, int]],
    late: list[tuple[Need, int]],
    told: bool,
) -> None:
    """Served before the last of those has left who held something when it came, where it is told when they leave at the
    latest; and else in the end. The requests of `late` come every hour for ever. Each look at the queue starts afresh
    from what is held, as it does in the store's transaction."""
    if Pool(inventory).take(wanted) is None:
        event("can never be")
        return
    held: list[tuple[int, Holding]] = []
    for number, (need, hours) in enumerate(early):
        held += holdings_of(Pool(inventory, [each for _, each in held]).take(need), f"early-{number}", hours, told)
    latest = max((end for end, _ in held), default=0)
    for hour in range(latest + 1 if told else 200):
        held = [(end, each) for end, each in held if end > hour]
        pool = Pool(inventory, [each for _, each in held])
        if pool.reserve(wanted, "first"):
            event(f"served after {hour} of {latest} hours")
            return
        for number, (need, hours) in enumerate(late):
            name = f"late-{hour}-{number}"
            held += holdings_of(pool.take(need, name), name, hour + hours, told)
    raise AssertionError("the first in the queue still waits")


def holdings_of(allocation: Allocation | None, session: str, end: int, told: bool) -> list[tuple[int, Holding]]:
    until = after(end) if told else None
    gpus = allocation.gpus if allocation else ()
    return [(end, Holding(session=session, lab="lab", learner=session, gpu=gpu, until=until)) for gpu in gpus]
