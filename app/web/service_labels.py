"""What the values of accounts, events, nights and imports are called: English here, marked for translation."""

from __future__ import annotations

from app.web.words import N_

SERVICE: dict[str, dict[str, str]] = {
    "role": {
        "public": N_("Visitor"),
        "partner": N_("Partner organisation"),
        "manager": N_("Technology manager"),
        "administrator": N_("Administrator"),
    },
    "place": {"chongqing": N_("Chongqing"), "sichuan": N_("Sichuan")},
    "scope": {
        "listings:read": N_("read listings"),
        "listings:write": N_("post and change listings"),
        "matches:read": N_("search and read matches"),
        "pairings:read": N_("read pairings"),
        "pairings:answer": N_("answer proposals"),
        "contacts:read": N_("read contacts"),
        "changes:own": N_("follow its own changes"),
        "webhooks:manage": N_("manage webhooks"),
        "changes:information": N_("follow changes for the information platform"),
        "changes:trading": N_("follow changes for the trading platform"),
    },
    "audience": {
        "information": N_("The information platform"),
        "trading": N_("The trading platform"),
        "organisation": N_("The organisation, of its own affairs"),
    },
    "event": {
        "listing.published": N_("Listing published"),
        "listing.revised": N_("Listing revised"),
        "listing.withdrawn": N_("Listing withdrawn"),
        "listing.expired": N_("Listing expired"),
        "listing.returned": N_("Listing returned"),
        "listing.expiring": N_("Listing about to expire"),
        "pairing.offered": N_("Pairing offered"),
        "pairing.mutual": N_("Mutual interest in a pairing"),
        "pairing.introduced": N_("Parties introduced"),
        "pairing.negotiating": N_("Negotiations begun"),
        "pairing.contracted": N_("Contract recorded"),
        "pairing.completed": N_("Pairing completed"),
        "pairing.declined": N_("Pairing declined"),
        "pairing.lapsed": N_("Pairing lapsed"),
        "pairing.withdrawn": N_("Pairing withdrawn"),
        "test.ping": N_("Test event"),
    },
    "delivery": {"pending": N_("Pending"), "delivered": N_("Delivered"), "dead": N_("Given up")},
    "actor": {
        "person": N_("person"),
        "key": N_("key"),
        "public": N_("visitor"),
        "operator": N_("operator"),
        "system": N_("the service"),
    },
    "audit": {
        "sign-in": N_("Signed in"),
        "sign-in.failed": N_("Sign-in failed"),
        "password.set": N_("Password set"),
        "openid.bind": N_("Bound to a sign-in provider"),
        "contact.read": N_("Contact read"),
        "contract.record": N_("Contract recorded"),
        "key.make": N_("Key made"),
        "key.revoke": N_("Key revoked"),
        "listing.fields": N_("Fields of a listing corrected"),
        "listing.publish": N_("Listing published"),
        "listing.return": N_("Listing returned"),
        "node.add": N_("Node added"),
        "node.change": N_("Node changed"),
        "organisation.add": N_("Organisation added"),
        "organisation.change": N_("Organisation changed"),
        "person.invite": N_("Person invited"),
        "person.place": N_("Role or place changed"),
        "person.close": N_("Account closed"),
        "person.open": N_("Account opened again"),
        "person.export": N_("Copy of what is kept about a person"),
        "person.erase": N_("Person erased"),
        "screening.decide": N_("Screening decided on"),
        "subscription.create": N_("Webhook added"),
        "subscription.change": N_("Webhook changed"),
        "subscription.rotate": N_("Webhook's secret renewed"),
        "subscription.delete": N_("Webhook deleted"),
        "subscription.replay": N_("Deliveries made anew"),
    },
    "import": {
        "running": N_("Being imported"),
        "done": N_("Imported"),
        "failed": N_("Failed: nothing more was written"),
        "interrupted": N_("Interrupted"),
    },
    "night": {
        "running": N_("running"),
        "done": N_("done"),
        "failed": N_("failed; the result before it stands"),
    },
    "night stage": {
        "embed": N_("Read new texts"),
        "build": N_("Build the index"),
        "match": N_("Match and assign"),
        "publish": N_("Publish the index"),
        "record": N_("Record proposals"),
        "settle": N_("Let old proposals lapse"),
    },
    "assignment": {"assigned": N_("assigned"), "top 10": N_("ten best of each")},
    "exposure": {
        "proposals": N_("proposals"),
        "total": N_("their worth, log-odds"),
        "gini_offers": N_("Gini, offers"),
        "gini_needs": N_("Gini, needs"),
        "reached_offers": N_("share of offers reached"),
        "reached_needs": N_("share of needs reached"),
        "most_offers": N_("most of one offer"),
        "most_needs": N_("most of one need"),
    },
    "night figure": {
        "listings": N_("listings"),
        "new texts": N_("new texts"),
        "offers": N_("offers"),
        "needs": N_("needs"),
        "revision": N_("revision"),
        "space": N_("space"),
        "model": N_("model"),
        "weights": N_("weights"),
        "threshold": N_("threshold"),
        "pairs": N_("pairs"),
        "in a direction not asked for": N_("in a direction not asked for"),
        "good pairs": N_("good pairs"),
        "assigned": N_("assigned"),
        "left out by the caps": N_("left out by the caps"),
        "index": N_("index"),
        "new": N_("new"),
        "updated": N_("updated"),
        "reopened": N_("reopened"),
        "kept": N_("kept"),
        "gone": N_("gone"),
        "lapsed": N_("lapsed"),
    },
    "change": {
        "new": N_("new proposals"),
        "updated": N_("updated"),
        "reopened": N_("proposed again"),
        "kept": N_("left as people decided"),
        "gone": N_("left out, no longer published"),
        "lapsed": N_("lapsed, no longer found"),
    },
    "problem": {
        "Too large": N_(
            "This is too large: a file holds at most 20 MB. Split it, or leave columns out that no listing has."
        ),
        "Sign in": N_("You have been signed out. Sign in again, and then do it once more; nothing has been changed."),
        "Too many requests": N_("Too many attempts in a short time. Wait a minute and try again."),
        "Form too old": N_(
            "This form was not sent from a page that you have just opened here. "
            "Go back, reload the page (cookies must be allowed), and send it again."
        ),
        "Person unknown": N_(
            "You are signed in there, but there is no open account here for you. "
            "Ask an administrator of the centre for an invitation to the same address."
        ),
        "Sign-in lost": N_(
            "This sign-in could not be completed: it was broken off, took more than ten minutes, "
            "or was begun in another browser. Please begin it again."
        ),
        "Provider failed": N_(
            "The service at which you want to sign in does not answer as it should. "
            "Try again later, or sign in with a password."
        ),
    },
}
