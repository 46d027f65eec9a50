"""What a program does with the generated client: python use.py ADDRESS KEY. Prints what it got, as JSON."""

import json
import sys

from generated.api.accounts import get_session
from generated.api.listings import get_listing, list_listings, post_listing, revise_listing
from generated.client import AuthenticatedClient
from generated.models import ListingIn, ListingOut, ListingsStatus, Problem

address, key = sys.argv[1:]
offer = ListingIn(
    side="offer", title="Ceramic elbows", reference="g1", country="CN", trl=9, fields=["advanced_materials"]
)
with AuthenticatedClient(address, key) as client:
    posted = post_listing.sync_detailed(client=client, body=offer)
    assert isinstance(posted.parsed, ListingOut), posted
    read = get_listing.sync_detailed(posted.parsed.id, client=client)
    assert isinstance(read.parsed, ListingOut), read
    assert read.parsed.status == ListingsStatus.PUBLISHED
    offer.title = "Ceramic bends"
    revised = revise_listing.sync(posted.parsed.id, client=client, body=offer, if_match=read.headers["etag"])
    assert isinstance(revised, ListingOut), revised
    late = revise_listing.sync(posted.parsed.id, client=client, body=offer, if_match=read.headers["etag"])
    assert isinstance(late, Problem), late
    page = list_listings.sync(client=client, status=ListingsStatus.PUBLISHED)
    unknown = get_session.sync(client=AuthenticatedClient(address, "dk_no_key"))
    assert isinstance(unknown, Problem), unknown
    print(json.dumps([read.parsed.to_dict(), revised.to_dict(), late.to_dict(), page.to_dict(), unknown.to_dict()]))
