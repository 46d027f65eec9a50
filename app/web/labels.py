"""What the values of the domain are called on the pages: English here, marked for translation."""

from __future__ import annotations

from app.web.words import Language


def N_(text: str) -> str:
    """Marks a text that is translated where it is shown."""
    return text


NO_COUNTRIES = ("EU", "EZ", "QO", "UN", "XA", "XB", "ZZ")  # areas and tests among CLDR's territories

LABELS: dict[str, dict[str, str]] = {
    "side": {"offer": N_("Offer"), "need": N_("Need")},
    "field": {
        "digital_intelligence": N_("Digital intelligence"),
        "aerospace": N_("Aerospace"),
        "advanced_materials": N_("Advanced materials"),
        "clean_energy": N_("Clean energy"),
        "modern_agriculture": N_("Modern agriculture"),
        "food_health": N_("Food and health"),
        "public_health": N_("Public health"),
        "medicine_health": N_("Medicine and health"),
        "environment": N_("Environmental governance"),
    },
    "direction": {
        "go-out": N_("from Chongqing–Sichuan abroad"),
        "bring-in": N_("from abroad to Chongqing–Sichuan"),
        "third-country": N_("between other places"),
        "domestic": N_("within Chongqing–Sichuan"),
    },
    "way": {
        "go-out": N_("Going out"),
        "bring-in": N_("Bringing in"),
        "third-country": N_("Third country"),
        "domestic": N_("Domestic"),
    },
    "part": {
        "margin": N_("how close the two texts are in meaning"),
        "title_margin": N_("how close the titles are"),
        "shared_words": N_("words in common"),
        "same_language": N_("both in one language, which is no merit in itself"),
        "field_agreement": N_("fields of technology"),
        "maturity_gap": N_("maturity against what is asked for"),
    },
    "verdict": {
        "very_likely": N_("very likely a match"),
        "likely": N_("likely a match"),
        "possible": N_("possibly a match"),
        "unlikely": N_("unlikely"),
    },
    "state": {
        "proposed": N_("Proposed"),
        "shortlisted": N_("Shortlisted"),
        "held": N_("On hold"),
        "offered": N_("Offered"),
        "mutual": N_("Mutual interest"),
        "introduced": N_("Introduced"),
        "negotiating": N_("Negotiating"),
        "contracted": N_("Contracted"),
        "completed": N_("Completed"),
        "declined": N_("Declined"),
        "lapsed": N_("Lapsed"),
        "withdrawn": N_("Withdrawn"),
    },
    "action": {
        "propose": N_("Propose"),
        "shortlist": N_("Shortlist"),
        "hold": N_("Put on hold"),
        "release": N_("Take off hold"),
        "offer": N_("Offer to both sides"),
        "interest": N_("Record interest"),
        "introduce": N_("Introduce the parties"),
        "negotiate": N_("Negotiations have begun"),
        "contract": N_("Record the contract"),
        "complete": N_("Completed"),
        "decline": N_("Decline"),
        "lapse": N_("Let lapse"),
        "withdraw": N_("Withdraw"),
    },
    "reason": {
        "wrong_problem": N_("Wrong problem"),
        "too_early": N_("Too early a stage"),
        "benefit_unclear": N_("Benefit over present practice unclear"),
        "market_unclear": N_("Route to market unclear"),
        "too_vague": N_("Too vague"),
        "terms": N_("Terms do not fit"),
        "already_known": N_("Already known"),
        "no_capacity": N_("No capacity"),
        "compliance": N_("Compliance"),
        "other": N_("Other"),
    },
    "text": {
        "summary": N_("Summary"),
        "description": N_("Description"),
        "advantages": N_("Advantages"),
        "requirement": N_("What a solution must do"),
        "keywords": N_("Keywords"),
    },
    "fact": {
        "country": N_("Country"),
        "fields": N_("Fields"),
        "trl": N_("Maturity (TRL)"),
        "stage": N_("Stage"),
        "ipr": N_("Intellectual property"),
        "modes": N_("Ways of transfer"),
        "partner_types": N_("Partners sought"),
        "budget": N_("Budget"),
        "target_countries": N_("Target countries"),
        "excluded_countries": N_("Excluded countries"),
    },
    "decision": {
        "not_covered": N_("No entry of the catalogue covers it"),
        "licensed": N_("An entry covers it, and the licence or letter of intent is there"),
        "refused": N_("It must not go out"),
    },
    "gate": {
        "none": N_("Not needed: no technology leaves the country"),
        "unscreened": N_("Not yet screened"),
        "undecided": N_("Waits for a person's decision"),
        "refused": N_("Refused"),
        "open": N_("Decided: the introduction may be made"),
    },
    "control": {"restricted": N_("Restricted"), "prohibited": N_("Prohibited")},
    "facet": {
        "direction": N_("Direction"),
        "field": N_("Field"),
        "country": N_("Country"),
        "node": N_("Node"),
    },
    "contract": {
        "development": N_("Technology development"),
        "transfer": N_("Technology transfer"),
        "licence": N_("Technology licence"),
        "consulting": N_("Technology consulting"),
        "service": N_("Technology service"),
    },
    "mode": {
        "assignment": N_("Assignment"),
        "exclusive_licence": N_("Exclusive licence"),
        "sole_licence": N_("Sole licence"),
        "ordinary_licence": N_("Ordinary licence"),
        "joint_rnd": N_("Joint research and development"),
        "joint_venture": N_("Joint venture"),
        "technical_service": N_("Technical service"),
        "consulting": N_("Consulting"),
        "turnkey": N_("Turnkey"),
        "training": N_("Training"),
    },
    "stage": {
        "concept": N_("Concept"),
        "development": N_("In development"),
        "prototype": N_("Prototype"),
        "demonstrated": N_("Demonstrated"),
        "on_market": N_("On the market"),
    },
    "ipr": {
        "none": N_("No protection"),
        "secret_know_how": N_("Secret know-how"),
        "applied": N_("Applied for"),
        "granted": N_("Granted"),
    },
    "partner": {
        "industry": N_("Industry"),
        "small_enterprise": N_("Small enterprise"),
        "university": N_("University"),
        "research": N_("Research institute"),
        "government": N_("Public authority"),
        "investor": N_("Investor"),
        "intermediary": N_("Intermediary"),
    },
    "disclosure": {
        "public": N_("Public"),
        "registered": N_("Registered organisations"),
        "introduction": N_("Only on introduction"),
    },
    "status": {
        "submitted": N_("Awaiting a manager"),
        "published": N_("Published"),
        "returned": N_("Returned"),
        "expired": N_("Expired"),
        "withdrawn": N_("Withdrawn"),
    },
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


def label(language: Language, kind: str, value: object) -> str:
    """What a value is called; itself where it has no name, "unknown" for None."""
    if value is None:
        return language.words.gettext("unknown")
    text = LABELS[kind].get(str(value))
    return language.words.gettext(text) if text is not None else str(value)


def country(language: Language, code: str | None) -> str:
    """The name of a country by its code of ISO 3166-1."""
    return str(language.locale.territories.get(code, code)) if code else language.words.gettext("unknown")


def countries(language: Language) -> list[tuple[str, str]]:
    """All countries, code and name, in the order of their names."""
    named = language.locale.territories.items()
    found = [
        (code, str(name)) for code, name in named if len(code) == 2 and code.isalpha() and code not in NO_COUNTRIES
    ]
    return sorted(found, key=lambda one: one[1])


def tongue(language: Language, tag: str | None) -> str:
    """The name of a language by its tag of BCP 47, whose first part decides."""
    if not tag:
        return language.words.gettext("unknown")
    names = language.locale.languages
    return str(names.get(tag, names.get(tag.split("-")[0], tag)))
