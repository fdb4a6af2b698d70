"""A till: everything that a shop's till does with Linli, over gRPC.

A call that moves points is written down before it is sent and struck out when it has an answer, so that no crash and no lost answer leaves a sale
in doubt. See docs/till.md.
"""

import json
import os
import random
import time
import uuid

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from linli.redemption.v1 import (
    member_code_pb2,
    member_code_pb2_grpc,
    redemption_pb2,
    redemption_pb2_grpc,
    terminal_pb2,
    terminal_pb2_grpc,
)

MOVE_SECONDS = 3.0
QUERY_SECONDS = 2.0
FIRST_WAIT_SECONDS = 0.2

# The server has decided, and the same call would be refused the same again. Whatever else comes is no answer.
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
}


class Refused(Exception):
    """The server said no. Programs go by `reason`, the clerk reads `text`."""

    def __init__(self, code, reason, text):
        super().__init__(f"{code} {reason}: {text}")
        self.code, self.reason, self.text = code, reason, text


class KeyRefused(Refused):
    """The till is not let in. What became of the call is as unknown as before."""


class Unanswered(Exception):
    """Nobody knows what became of the call: repeat it, ask for it, or cancel it, by its request id."""

    def __init__(self, request_id):
        super().__init__(f"no answer to {request_id}")
        self.request_id = request_id


class Till:
    """A till, as it stands in its folder: its key and the calls that have no answer yet."""

    def __init__(self, address, folder, tries=5):
        # Where TLS ends at a gateway: grpc.secure_channel(address, grpc.ssl_channel_credentials()).
        channel = grpc.insecure_channel(address, [("grpc.initial_reconnect_backoff_ms", 200)])
        self._redemption = redemption_pb2_grpc.RedemptionServiceStub(channel)
        self._terminals = terminal_pb2_grpc.TerminalServiceStub(channel)
        self._codes = member_code_pb2_grpc.MemberCodeServiceStub(channel)
        self._channel, self._folder, self.tries = channel, folder, tries
        self._notes = os.path.join(folder, "unanswered")
        os.makedirs(self._notes, mode=0o700, exist_ok=True)
        self.paired = self._read_key()

    def close(self):
        self._channel.close()

    # Being let in

    def pair(self, community, code, display_name):
        """Pairs with the code that somebody typed in, and keeps the key."""
        request = terminal_pb2.PairTerminalRequest(
            parent=community, code=code, display_name=display_name, request_id=new_id()
        )
        answer = self._ask(self._terminals.PairTerminal, request, MOVE_SECONDS)
        terminal = answer.terminal
        self._keep_key(
            {"community": community, "terminal": terminal.name, "merchant": terminal.merchant, "key": answer.key}
        )

    def rotate_key(self):
        """Changes the key. The old one counts for another day, so a lost answer locks nobody out."""
        request = terminal_pb2.RotateTerminalKeyRequest(name=self.paired["terminal"], request_id=new_id())
        answer = self._ask(self._terminals.RotateTerminalKey, request, MOVE_SECONDS)
        self._keep_key({**self.paired, "key": answer.key})

    # A sale

    def resolve(self, code, pin=""):
        """Turns what was scanned into a handle, and says what the member can take. A PIN is never written down."""
        request = member_code_pb2.ResolveMemberCodeRequest(
            parent=self.paired["community"],
            merchant=self.paired["merchant"],
            code=code,
            pin=pin,
            request_id=new_id(),
        )
        return self._ask(self._codes.ResolveMemberCode, request, MOVE_SECONDS)

    def quote(self, handle, offer, quantity):
        """What a hold would come to; changes nothing."""
        request = redemption_pb2.HoldRedemptionRequest(
            parent=self.paired["community"],
            request_id=new_id(),
            member_handle=handle,
            offer=offer,
            quantity=quantity,
            validate_only=True,
        )
        return self._ask(self._redemption.HoldRedemption, request, QUERY_SECONDS)

    def hold(self, handle, offer, quantity):
        """Reserves points and stock for five minutes."""
        request = redemption_pb2.HoldRedemptionRequest(
            parent=self.paired["community"],
            request_id=new_id(),
            member_handle=handle,
            offer=offer,
            quantity=quantity,
        )
        return self._move("HoldRedemption", request)

    def capture(self, redemption, quantity):
        """Spends what is held, or a part of it; the rest goes back."""
        request = redemption_pb2.CaptureRedemptionRequest(name=redemption, request_id=new_id(), quantity=quantity)
        return self._move("CaptureRedemption", request)

    def redeem(self, handle, offer, quantity, request_id=None):
        """Hold and capture in one."""
        request = redemption_pb2.RedeemRequest(
            parent=self.paired["community"],
            request_id=request_id or new_id(),
            member_handle=handle,
            offer=offer,
            quantity=quantity,
        )
        return self._move("Redeem", request)

    def reverse(self, redemption, quantity, reason, operator):
        """Gives back what was captured, or a part of it."""
        request = redemption_pb2.ReverseRedemptionRequest(
            name=redemption, request_id=new_id(), quantity=quantity, reason=reason, operator=operator
        )
        return self._move("ReverseRedemption", request)

    # In doubt

    def unanswered(self):
        """The ids of calls that were sent, as far as is known, and have no answer."""
        return sorted(note.removesuffix(".json") for note in os.listdir(self._notes) if note.endswith(".json"))

    def repeat(self, request_id):
        """Sends a call again as it was: it gets its first answer, or has its effect now."""
        with open(self._note(request_id), encoding="utf-8") as file:
            note = json.load(file)
        kind = getattr(redemption_pb2, f"{note['method']}Request")
        return self._move(note["method"], json_format.ParseDict(note["request"], kind()))

    def find(self, request_id):
        """The redemption that a Redeem or HoldRedemption made; nothing when it has not arrived, or was refused."""
        name = f"{self.paired['community']}/redemptions/{request_id}"
        try:
            request = redemption_pb2.GetRedemptionRequest(name=name)
            return self._ask(self._redemption.GetRedemption, request, QUERY_SECONDS)
        except Refused as refusal:
            # "Not the caller's own, or not there": whoever may only see their own is not told which.
            if refusal.reason == "NOT_YOURS":
                return None
            raise

    def cancel(self, request_id):
        """Undoes a Redeem or HoldRedemption, or makes sure that it never has an effect."""
        request = redemption_pb2.CancelRedemptionByRequestIdRequest(
            parent=self.paired["community"], request_id=request_id
        )
        answer = self._ask(self._redemption.CancelRedemptionByRequestId, request, MOVE_SECONDS)
        self._strike(request_id)
        return answer.redemption if answer.HasField("redemption") else None

    # How calls are made

    def _move(self, method, request):
        note = {"method": method, "request": json_format.MessageToDict(request)}
        write(self._note(request.request_id), json.dumps(note))
        try:
            answer = self._ask(getattr(self._redemption, method), request, MOVE_SECONDS)
        except KeyRefused:
            raise
        except Refused:
            self._strike(request.request_id)
            raise
        self._strike(request.request_id)
        return answer

    def _ask(self, method, request, seconds):
        """Sends the same call until it has an answer, a little later each time."""
        metadata = [("authorization", f"Bearer {self.paired['key']}")] if self.paired else []
        wait = FIRST_WAIT_SECONDS
        for attempt in range(self.tries):
            try:
                return method(request, timeout=seconds, metadata=metadata, wait_for_ready=True)
            except grpc.RpcError as error:
                reason, text, retry_after = details(error)
                if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                    raise KeyRefused(error.code().name, reason, text) from error
                if error.code() in REFUSALS:
                    raise Refused(error.code().name, reason, text) from error
                if attempt + 1 < self.tries:
                    time.sleep(max(retry_after, wait * random.uniform(0.8, 1.2)))
                    wait *= 2
        raise Unanswered(getattr(request, "request_id", ""))

    def _note(self, request_id):
        return os.path.join(self._notes, f"{request_id}.json")

    def _strike(self, request_id):
        if os.path.exists(self._note(request_id)):
            os.remove(self._note(request_id))

    def _key_file(self):
        return os.path.join(self._folder, "key.json")

    def _read_key(self):
        if not os.path.exists(self._key_file()):
            return None
        with open(self._key_file(), encoding="utf-8") as file:
            return json.load(file)

    def _keep_key(self, paired):
        write(self._key_file(), json.dumps(paired))
        self.paired = paired


def new_id():
    return str(uuid.uuid4())


def details(error):
    """The reason, the text for the clerk, and how many seconds to wait at least."""
    reason, text, retry_after = "", error.details() or "", 0.0
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info, localized, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.LocalizedMessage(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(localized) and localized.locale == "zh-CN":
            text = localized.message
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return reason, text, retry_after


def write(path, text):
    """Writes a file that only the till reads; it is on the disk, whole, before this returns."""
    beside = f"{path}.new"
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(beside, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
