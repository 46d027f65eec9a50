from app import proposals
from app.clock import utc_now
from app.tables import PairingRow
from tests.app.conftest import NEED, OFFER, World


def test_what_somebody_takes_up_does_not_lapse_because_a_run_does_not_find_it(world: World) -> None:
    world.app.state.proposer.stop()
    offer, need = world.post(world.offerer, OFFER)["id"], world.post(world.seeker, NEED)["id"]
    pairing_id = world.centre.post("/api/v1/pairings", json={"offer": offer, "need": need}).json()["id"]
    with world.database.writing() as session:
        assert proposals.lapse(session, "a run", utc_now()) == {}
        row = session.get(PairingRow, pairing_id)
        assert row is not None
        assert row.state == "proposed"
        row.run = "an earlier run"
        session.add(row)
        assert proposals.lapse(session, "a run", utc_now()) == {"lapsed": 1}
