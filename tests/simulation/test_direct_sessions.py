"""Sessions of direct exchanges that a vehicle names to harm another one."""

from tests.simulation.simulated import Simulation, wrong
from tests.simulation.simulated_machines import Link
from tests.simulation.simulated_udp import DirectLink


def test_a_vehicle_that_names_the_session_of_another_one_does_not_get_its_answers():
    simulation = Simulation(Link.instant(), direct=DirectLink())
    other = simulation.add_vehicle("rov2", Link.instant())
    numbers = iter([7, 8, 9])
    simulation.vehicles["rov1"].agent.direct._sessions._make_number = lambda: 7
    other.agent.direct._sessions._make_number = numbers.__next__
    published = simulation.run(8)
    assert wrong(published) == []
    assert {each.result.path for each in published if each.at_s > 5} == {"udp"}
    sessions = simulation.topside.direct._agreements
    assert {name: each.agreed.answer.session for name, each in sessions.items()} == {"rov1": 7, "rov2": 8}
