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
    transport, measured = simulation.topside.direct.transport, set()
    measure = transport.measure

    def spy(vehicle, terms):
        measured.add((vehicle, terms.session))
        measure(vehicle, terms)

    transport.measure = spy
    published = simulation.run(8)
    assert wrong(published) == []
    assert measured == {("rov1", 7), ("rov2", 8)}
