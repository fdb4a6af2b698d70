'use strict';
// A till: everything that a shop's till does with Linli, over gRPC.
//
// A call that moves points is written down before it is sent and struck out when it has an answer, so that no crash and no lost answer leaves a sale
// in doubt. See docs/till.md.

const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const { Root } = require('protobufjs');

const MOVE_MS = 3000;
const QUERY_MS = 2000;
const FIRST_WAIT_MS = 200;

// The server has decided, and the same call would be refused the same again. Whatever else comes is no answer.
const REFUSALS = new Set([
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.ALREADY_EXISTS,
  grpc.status.PERMISSION_DENIED,
  grpc.status.FAILED_PRECONDITION,
  grpc.status.OUT_OF_RANGE,
  grpc.status.UNIMPLEMENTED,
]);

/** The server said no. Programs go by `reason`, the clerk reads `text`. */
class Refused extends Error {
  constructor(code, reason, text) {
    super(`${code} ${reason}: ${text}`);
    Object.assign(this, { code, reason, text });
  }
}

/** The till is not let in. What became of the call is as unknown as before. */
class KeyRefused extends Refused {}

/** Nobody knows what became of the call: repeat it, ask for it, or cancel it, by its request id. */
class Unanswered extends Error {
  constructor(requestId) {
    super(`no answer to ${requestId}`);
    this.requestId = requestId;
  }
}

// Amounts are 64 bits wide: JavaScript keeps them as text.
const contract = grpc.loadPackageDefinition(
  protoLoader.loadFileDescriptorSetFromBuffer(fs.readFileSync(process.env.LINLI_CONTRACT), {
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  }),
).linli.redemption.v1;

/** A till, as it stands in its folder: its key and the calls that have no answer yet. */
class Till {
  constructor(address, folder, tries = 5) {
    // Where TLS ends at a gateway: grpc.credentials.createSsl().
    const credentials = grpc.credentials.createInsecure();
    this.redemption = new contract.RedemptionService(address, credentials);
    this.terminals = new contract.TerminalService(address, credentials);
    this.codes = new contract.MemberCodeService(address, credentials);
    this.tries = tries;
    this.keyFile = path.join(folder, 'key.json');
    this.notes = path.join(folder, 'unanswered');
    fs.mkdirSync(this.notes, { recursive: true, mode: 0o700 });
    this.paired = fs.existsSync(this.keyFile) ? JSON.parse(fs.readFileSync(this.keyFile, 'utf8')) : null;
  }

  close() {
    for (const client of [this.redemption, this.terminals, this.codes]) client.close();
  }

  // Being let in

  /** Pairs with the code that somebody typed in, and keeps the key. */
  async pair(community, code, display_name) {
    const request = { parent: community, code, display_name, request_id: randomUUID() };
    const { terminal, key } = await this.ask(this.terminals, 'PairTerminal', request, MOVE_MS);
    this.keepKey({ community, terminal: terminal.name, merchant: terminal.merchant, key });
  }

  /** Changes the key. The old one counts for another day, so a lost answer locks nobody out. */
  async rotateKey() {
    const request = { name: this.paired.terminal, request_id: randomUUID() };
    const { key } = await this.ask(this.terminals, 'RotateTerminalKey', request, MOVE_MS);
    this.keepKey({ ...this.paired, key });
  }

  // A sale

  /** Turns what was scanned into a handle, and says what the member can take. A PIN is never written down. */
  resolve(code, pin = '') {
    const { community: parent, merchant } = this.paired;
    return this.ask(this.codes, 'ResolveMemberCode', { parent, merchant, code, pin, request_id: randomUUID() }, MOVE_MS);
  }

  /** What a hold would come to; changes nothing. */
  quote(handle, offer, quantity) {
    const request = { ...this.order(handle, offer, quantity), validate_only: true };
    return this.ask(this.redemption, 'HoldRedemption', request, QUERY_MS);
  }

  /** Reserves points and stock for five minutes. */
  hold(handle, offer, quantity) {
    return this.move('HoldRedemption', this.order(handle, offer, quantity));
  }

  /** Spends what is held, or a part of it; the rest goes back. */
  capture(name, quantity) {
    return this.move('CaptureRedemption', { name, request_id: randomUUID(), quantity });
  }

  /** Hold and capture in one. */
  redeem(handle, offer, quantity, request_id = randomUUID()) {
    return this.move('Redeem', { ...this.order(handle, offer, quantity), request_id });
  }

  /** Gives back what was captured, or a part of it. */
  reverse(name, quantity, reason, operator) {
    return this.move('ReverseRedemption', { name, request_id: randomUUID(), quantity, reason, operator });
  }

  // In doubt

  /** The ids of calls that were sent, as far as is known, and have no answer. */
  unanswered() {
    return fs.readdirSync(this.notes).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -5)).sort();
  }

  /** Sends a call again as it was: it gets its first answer, or has its effect now. */
  repeat(requestId) {
    const { method, request } = JSON.parse(fs.readFileSync(this.note(requestId), 'utf8'));
    return this.move(method, request);
  }

  /** The redemption that a Redeem or HoldRedemption made; nothing when it has not arrived, or was refused. */
  async find(requestId) {
    const request = { name: `${this.paired.community}/redemptions/${requestId}` };
    try {
      return await this.ask(this.redemption, 'GetRedemption', request, QUERY_MS);
    } catch (error) {
      // "Not the caller's own, or not there": whoever may only see their own is not told which.
      if (error.reason === 'NOT_YOURS') return null;
      throw error;
    }
  }

  /** Undoes a Redeem or HoldRedemption, or makes sure that it never has an effect. */
  async cancel(requestId) {
    const request = { parent: this.paired.community, request_id: requestId };
    const { redemption } = await this.ask(this.redemption, 'CancelRedemptionByRequestId', request, MOVE_MS);
    this.strike(requestId);
    return redemption;
  }

  // How calls are made

  order(member_handle, offer, quantity) {
    return { parent: this.paired.community, request_id: randomUUID(), member_handle, offer, quantity };
  }

  async move(method, request) {
    write(this.note(request.request_id), JSON.stringify({ method, request }));
    try {
      const answer = await this.ask(this.redemption, method, request, MOVE_MS);
      this.strike(request.request_id);
      return answer;
    } catch (error) {
      if (error instanceof Refused && !(error instanceof KeyRefused)) this.strike(request.request_id);
      throw error;
    }
  }

  /** Sends the same call until it has an answer, a little later each time. */
  async ask(client, method, request, ms) {
    let wait = FIRST_WAIT_MS;
    for (let attempt = 1; attempt <= this.tries; attempt += 1) {
      try {
        return await this.send(client, method, request, ms);
      } catch (error) {
        const { reason, text, retryAfterMs } = details(error);
        const code = grpc.status[error.code];
        if (error.code === grpc.status.UNAUTHENTICATED) throw new KeyRefused(code, reason, text);
        if (REFUSALS.has(error.code)) throw new Refused(code, reason, text);
        if (attempt < this.tries) await delay(Math.max(retryAfterMs, wait * (0.8 + 0.4 * Math.random())));
        wait *= 2;
      }
    }
    throw new Unanswered(request.request_id);
  }

  send(client, method, request, ms) {
    const metadata = new grpc.Metadata({ waitForReady: true });
    if (this.paired) metadata.set('authorization', `Bearer ${this.paired.key}`);
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + ms };
      client[method](request, metadata, options, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  }

  note(requestId) {
    return path.join(this.notes, `${requestId}.json`);
  }

  strike(requestId) {
    fs.rmSync(this.note(requestId), { force: true });
  }

  keepKey(paired) {
    write(this.keyFile, JSON.stringify(paired));
    this.paired = paired;
  }
}

const rpc = Root.fromJSON({
  nested: {
    Status: { fields: { details: { rule: 'repeated', type: 'Any', id: 3 } } },
    Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    ErrorInfo: { fields: { reason: { type: 'string', id: 1 } } },
    LocalizedMessage: { fields: { locale: { type: 'string', id: 1 }, message: { type: 'string', id: 2 } } },
    RetryInfo: { fields: { retry_delay: { type: 'Duration', id: 1 } } },
    Duration: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
  },
});

/** The reason, the text for the clerk, and how long to wait at least. */
function details(error) {
  const found = { reason: '', text: error.details ?? '', retryAfterMs: 0 };
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!bytes) return found;
  for (const { type_url, value } of rpc.lookupType('Status').decode(bytes).details) {
    const kind = type_url.split('/google.rpc.')[1];
    if (kind === 'ErrorInfo') found.reason = rpc.lookupType(kind).decode(value).reason;
    if (kind === 'LocalizedMessage') {
      const localized = rpc.lookupType(kind).decode(value);
      if (localized.locale === 'zh-CN') found.text = localized.message;
    }
    if (kind === 'RetryInfo') {
      const retry = rpc.lookupType(kind).decode(value).retry_delay;
      found.retryAfterMs = Number(retry.seconds) * 1000 + retry.nanos / 1e6;
    }
  }
  return found;
}

/** Writes a file that only the till reads; it is on the disk, whole, before this returns. */
function write(file, text) {
  const beside = `${file}.new`;
  const out = fs.openSync(beside, 'w', 0o600);
  fs.writeSync(out, text);
  fs.fsyncSync(out);
  fs.closeSync(out);
  fs.renameSync(beside, file);
  const folder = fs.openSync(path.dirname(file), 'r');
  fs.fsyncSync(folder);
  fs.closeSync(folder);
}

module.exports = { Till, Refused, Unanswered };
