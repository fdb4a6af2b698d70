"""A day at the till: one line a step, and at the end what it has taken."""

import os
import urllib.request

from linli.redemption.v1 import redemption_pb2
from till import Refused, Till, Unanswered, new_id

ADDRESS, FOLDER, COUNTER = (os.environ[name] for name in ("LINLI_REDEMPTION", "LINLI_TILL", "LINLI_COUNTER"))


def counter(path):
    """What happens at the counter: a member shows a code, the network loses something."""
    with urllib.request.urlopen(f"{COUNTER}/{path}", data=b"", timeout=30) as answer:
        return answer.read().decode()


def step(name, told):
    print(f"{name:<14} {told}", flush=True)


def expect(fact, told):
    if not fact:
        raise SystemExit(f"not as promised: {told}")


def state(redemption):
    return redemption_pb2.RedemptionState.Name(redemption.state).removeprefix("REDEMPTION_STATE_")


def sale(till):
    """Scans, quotes, holds three and captures two."""
    resolved = till.resolve(counter("show"))
    handle = resolved.handle.name
    step("resolve", f"{resolved.handle.masked_name}, at least {resolved.balances[0].at_least_points} points")
    tea = next(offer for offer in resolved.offers if offer.max_quantity)
    fruit = next(offer for offer in resolved.offers if offer.refusal)

    quoted = till.quote(handle, tea.offer, 3)
    step("quote", f"3 × {tea.title}: {quoted.points} points")
    held = till.hold(handle, tea.offer, 3)
    step("hold", f"{state(held)} {held.points} points")
    captured = till.capture(held.name, 2)
    step("capture", f"{state(captured)} {captured.captured_points} points")
    expect(till.find(quoted.name.rsplit("/", 1)[1]) is None, "a quote leaves nothing")
    return handle, tea, fruit, captured


def lost_answer(till, handle, tea):
    """The sale is made, its answer lost, and the till restarted: it repeats the call and gets the first answer."""
    counter("lose/answer")
    try:
        till.redeem(handle, tea.offer, 1)
        raise SystemExit("not as promised: the answer was to be lost")
    except Unanswered as unknown:
        request_id = unknown.request_id
    step("lose-answer", "no answer to Redeem; written down before it was sent")
    till.close()
    till = Till(ADDRESS, FOLDER)
    expect(till.unanswered() == [request_id], "the call is known after a restart")
    found = till.find(request_id)
    step("find", f"{state(found)} {found.captured_points} points: it had arrived")
    again = till.repeat(request_id)
    expect(again == found and not till.unanswered(), "the repeated call gets the first answer")
    step("repeat", f"{state(again)} {again.captured_points} points: the first answer")
    return till, again


def lost_request(till, handle, tea):
    """A call is lost on its way, the member leaves: it is cancelled and has no effect however late it comes."""
    counter("lose/request")
    till.tries = 1
    try:
        till.redeem(handle, tea.offer, 1)
        raise SystemExit("not as promised: the request was to be lost")
    except Unanswered as unknown:
        request_id = unknown.request_id
    till.tries = 5
    expect(till.find(request_id) is None, "the call has not arrived")
    expect(till.cancel(request_id) is None, "there is nothing to undo")
    step("cancel", "no answer to Redeem; it had not arrived and never will")
    try:
        till.redeem(handle, tea.offer, 1, request_id)
        raise SystemExit("not as promised: a cancelled call is refused")
    except Refused as refusal:
        expect(refusal.reason == "CANCELLED", refusal)
        step("late", f"{refusal.code} {refusal.reason}: {refusal.text}")


def main():
    till = Till(ADDRESS, FOLDER, tries=5)
    till.pair(os.environ["LINLI_COMMUNITY"], os.environ["LINLI_PAIRING_CODE"], "Python till")
    step("pair", till.paired["terminal"].rsplit("/", 1)[1])
    handle, tea, fruit, captured = sale(till)
    till.tries = 1
    till, redeemed = lost_answer(till, handle, tea)
    lost_request(till, handle, tea)
    reversed_ = till.reverse(captured.name, 1, "brought back", "CLERK01")
    step("reverse", f"{state(reversed_)} {reversed_.reversed_points} points back")
    try:
        till.redeem(handle, fruit.offer, 1)
        raise SystemExit("not as promised: the member has too few points")
    except Refused as refusal:
        expect(refusal.reason == "INSUFFICIENT_POINTS", refusal)
        step("refusal", f"{refusal.code} {refusal.reason}: {refusal.text}")
    old = till.paired["key"]
    till.rotate_key()
    expect(till.paired["key"] != old, "a new key")
    expect(till.find(new_id()) is None, "it calls with the new key")
    step("rotate", "calls with a new key")
    step("taken", captured.captured_points + redeemed.captured_points - reversed_.reversed_points)
    till.close()


if __name__ == "__main__":
    main()
