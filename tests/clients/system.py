"""`linli up` on a temporary folder and free ports, and communities in it, made over the public calls in JSON."""

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone

READY_SECONDS = 120
STOP_SECONDS = 60
ARRIVAL_SECONDS = 60

# No proxy of the environment's stands between this machine and itself.
_web = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """The run stops here, for this reason."""


def call(address, method, request, token):
    """Makes one call in JSON and returns its answer."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    url = f"http://{address}/{method}"
    message = urllib.request.Request(url, json.dumps(request).encode(), headers)
    try:
        with _web.open(message, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Failed(f"{method}: {error.code} {error.read().decode(errors='replace')}") from error


class System:
    """A running `linli up`; it and its folder are gone at the end."""

    def __init__(self, linli):
        self.linli = linli
        self.folder = tempfile.mkdtemp(prefix="linli-clients-")
        # As root, its PostgreSQL runs as another user and has to reach its part of the folder.
        os.chmod(self.folder, 0o755)
        self.data = os.path.join(self.folder, "data")
        self._process = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self):
        command = [self.linli, "up", "--data", self.data]
        for port in ("--ledger-port", "--activity-port", "--redemption-port"):
            command += [port, "0"]
        log = os.path.join(self.folder, "log")
        with open(log, "wb") as stderr:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        addresses = self._read_to_ready(log)
        self.ledger, self.activity, self.redemption = (
            addresses[service] for service in ("ledger", "activity", "redemption")
        )
        self.contract = os.path.join(self.folder, "linli.binpb")
        with open(self.contract, "wb") as out:
            subprocess.run([self.linli, "contract", "descriptor"], check=True, stdout=out)
        self._staff = self.token("--role", "staff", "--role", "operator")

    def _read_to_ready(self, log):
        lines = queue.Queue()

        def read():
            for line in self._process.stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        addresses, end = {}, time.monotonic() + READY_SECONDS
        while True:
            try:
                line = lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise Failed(f"linli up was not ready within {READY_SECONDS} s") from None
            if line is None:
                with open(log, encoding="utf-8", errors="replace") as text:
                    raise Failed(f"linli up ended before it was ready:\n{text.read()[-2000:]}")
            if line.startswith("ready in "):
                return addresses
            words = line.split()
            if len(words) == 2 and words[1].startswith("http://"):
                addresses[words[0]] = words[1].removeprefix("http://")

    def token(self, *arguments):
        """A token of the system's own issuer."""
        command = [self.linli, "token", "--data", self.data, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def in_activity(self, method, request):
        """A call of the community's staff."""
        return call(self.activity, f"linli.activity.v1.ActivityService/{method}", request, self._staff)

    def in_redemption(self, method, request, service="RedemptionService"):
        """The same to redemption."""
        return call(self.redemption, f"linli.redemption.v1.{service}/{method}", request, self._staff)

    def account(self, community, programme, kind, owner):
        """A ledger account; its id follows from whose it is."""
        account = uuid.uuid5(uuid.UUID(programme), f"{kind}/{owner}")
        name = f"communities/{community}/accounts/{account}"
        return call(self.ledger, "linli.ledger.v1.LedgerService/GetAccount", {"name": name}, self._staff)


class Shop:
    """A community with one member who has points, and one shop with a pairing code for one till."""

    POINTS = 100

    def __init__(self, system):
        self.system = system
        self.ids = {name: str(uuid.uuid4()) for name in ("community", "programme", "member", "merchant", "store")}
        self.community = f"communities/{self.ids['community']}"
        self.programme = f"{self.community}/programmes/{self.ids['programme']}"
        self.member = f"{self.community}/members/{self.ids['member']}"
        self.merchant = f"{self.community}/merchants/{self.ids['merchant']}"
        self._programme()
        self._member()
        self._merchant()
        self._offer("一壶茶", 10)
        self._offer("一篮水果", 1000)
        self.member_token = system.token(
            "--role", "member", "--community", self.ids["community"], "--own", self.member
        )

    def pairing_code(self):
        """A code that pairs one till, as the shop's console shows it."""
        store = f"{self.community}/stores/{self.ids['store']}"
        request = {"parent": store, "requestId": str(uuid.uuid4())}
        return self.system.in_redemption("CreatePairingCode", request, "TerminalService")["code"]

    def member_code(self):
        """The code that the member's app shows, made in the member's own name."""
        method = "linli.redemption.v1.MemberCodeService/CreateMemberCode"
        request = {"parent": self.member, "requestId": str(uuid.uuid4())}
        return call(self.system.redemption, method, request, self.member_token)["code"]

    def account(self, kind, owner):
        """An account of the programme: `member` or `merchant`."""
        return self.system.account(self.ids["community"], self.ids["programme"], kind, self.ids[owner])

    def _activity(self, method, **request):
        return self.system.in_activity(method, {**request, "requestId": str(uuid.uuid4())})

    def _redemption(self, method, service="RedemptionService", **request):
        return self.system.in_redemption(method, {**request, "requestId": str(uuid.uuid4())}, service)

    def _programme(self):
        programme = {"displayName": "邻里积分", "asset": "points", "timeZone": "Asia/Shanghai"}
        self._activity(
            "CreateProgramme", parent=self.community, programmeId=self.ids["programme"], programme=programme
        )
        rule = {"source": "EARN_SOURCE_SERVICE", "category": "*", "perHour": "10"}
        revision = self._activity("CreatePolicyRevision", parent=self.programme, policy={"earnRules": [rule]})
        self._activity("ActivatePolicyRevision", name=revision["name"])

    def _member(self):
        member = {"kind": "MEMBER_KIND_RESIDENT", "displayName": "王芳"}
        self._activity("CreateMember", parent=self.community, memberId=self.ids["member"], member=member)
        end = datetime.now(timezone.utc) - timedelta(minutes=1)
        record = {
            "programme": self.programme,
            "member": self.member,
            "role": "SERVICE_ROLE_MEMBER",
            "category": "cleaning",
            "activity": "楼道清洁",
            "startTime": (end - timedelta(hours=self.POINTS // 10)).isoformat(),
            "endTime": end.isoformat(),
        }
        made = self._activity("CreateServiceRecord", parent=self.community, serviceRecord=record)
        self._activity("VerifyServiceRecord", name=made["name"])
        self._wait_for_points()

    def _wait_for_points(self):
        """The grant reaches the ledger moments after the verification: it is asked for until it is there."""
        end = time.monotonic() + ARRIVAL_SECONDS
        while True:
            try:
                account = self.account("member", "member")
                if account["balance"] == str(self.POINTS):
                    return
                seen = account["balance"]
            except Failed as failure:
                seen = failure
            if time.monotonic() > end:
                raise Failed(f"the member's points did not arrive within {ARRIVAL_SECONDS} s: {seen}")
            time.sleep(0.05)

    def _merchant(self):
        merchant = {"number": "S01", "displayName": "街角茶馆"}
        self._redemption(
            "CreateMerchant", parent=self.community, merchantId=self.ids["merchant"], merchant=merchant
        )
        self._redemption("CreateAgreement", parent=self.merchant, agreement=_years())
        store = {"number": "1", "displayName": "南门店"}
        self._redemption(
            "CreateStore", "TerminalService", parent=self.merchant, storeId=self.ids["store"], store=store
        )

    def _offer(self, title, points):
        offer = {
            "merchant": self.merchant,
            "programme": self.programme,
            "title": title,
            "points": str(points),
            "stock": "100",
            "audience": "AUDIENCE_ALL",
            **_years(),
        }
        made = self._redemption("CreateOffer", parent=self.community, offer=offer)
        self._redemption("ActivateOffer", name=made["name"])


def _years():
    return {
        "startDate": {"year": 2000, "month": 1, "day": 1},
        "endDate": {"year": 2099, "month": 12, "day": 31},
    }
