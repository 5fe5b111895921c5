"""The agenda: who is served when, once, at the nearest time asked for."""

from topside_agent.measuring.deadline_queue import DeadlineQueue


def test_a_vehicle_is_named_when_it_is_due_and_once():
    agenda = DeadlineQueue()
    agenda.wake("rov1", 10)
    assert agenda.pop(9) is None
    assert agenda.due_ns == 10
    assert agenda.pop(10) == "rov1"
    assert agenda.pop(99) is None


def test_the_nearest_time_asked_for_stands_alone():
    agenda = DeadlineQueue()
    for due_ns in (30, 20, 25):
        agenda.wake("rov1", due_ns)
    assert agenda.pop(20) == "rov1"
    assert agenda.pop(99) is None


def test_vehicles_are_named_in_the_order_of_their_times():
    agenda = DeadlineQueue()
    for vehicle, due_ns in (("b", 20), ("a", 30), ("c", 10)):
        agenda.wake(vehicle, due_ns)
    assert [agenda.pop(99) for _ in range(4)] == ["c", "b", "a", None]
