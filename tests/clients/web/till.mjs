// A till in a page or a mini-program: the same as over gRPC, in JSON.
//
// A call that moves points is written down before it is sent and struck out when it has an answer, so that no crash and no lost answer leaves a sale
// in doubt. See docs/till.md.

import { randomUUID } from 'node:crypto';
import { ask, KeyRefused, Refused } from './json.mjs';

const MOVE_MS = 3000;
const QUERY_MS = 2000;
const REDEMPTION = 'redemption.v1.RedemptionService';

/** A till, as it stands in its storage: its key and the calls that have no answer yet. */
export class Till {
  /** `storage` is what the platform keeps for the program: `get`, `set`, `remove`, `names`. */
  constructor(address, storage, tries = 5) {
    Object.assign(this, { address, storage, tries, paired: storage.get('key') });
  }

  // Being let in

  /** Pairs with the code that somebody typed in, and keeps the key. */
  async pair(community, code, displayName) {
    const request = { parent: community, code, displayName, requestId: randomUUID() };
    const { terminal, key } = await this.ask('redemption.v1.TerminalService/PairTerminal', request, MOVE_MS);
    this.keep({ community, terminal: terminal.name, merchant: terminal.merchant, key });
  }

  /** Changes the key. The old one counts for another day, so a lost answer locks nobody out. */
  async rotateKey() {
    const request = { name: this.paired.terminal, requestId: randomUUID() };
    const { key } = await this.ask('redemption.v1.TerminalService/RotateTerminalKey', request, MOVE_MS);
    this.keep({ ...this.paired, key });
  }

  // A sale

  /** Turns what was scanned into a handle, and says what the member can take. A PIN is never written down. */
  resolve(code, pin = '') {
    const { community: parent, merchant } = this.paired;
    const request = { parent, merchant, code, pin, requestId: randomUUID() };
    return this.ask('redemption.v1.MemberCodeService/ResolveMemberCode', request, MOVE_MS);
  }

  /** What a hold would come to; changes nothing. */
  quote(handle, offer, quantity) {
    const request = { ...this.order(handle, offer, quantity), validateOnly: true };
    return this.ask(`${REDEMPTION}/HoldRedemption`, request, QUERY_MS);
  }

  /** Reserves points and stock for five minutes. */
  hold(handle, offer, quantity) {
    return this.move('HoldRedemption', this.order(handle, offer, quantity));
  }

  /** Spends what is held, or a part of it; the rest goes back. */
  capture(name, quantity) {
    return this.move('CaptureRedemption', { name, requestId: randomUUID(), quantity });
  }

  /** Hold and capture in one. */
  redeem(handle, offer, quantity, requestId = randomUUID()) {
    return this.move('Redeem', { ...this.order(handle, offer, quantity), requestId });
  }

  /** Gives back what was captured, or a part of it. */
  reverse(name, quantity, reason, operator) {
    return this.move('ReverseRedemption', { name, requestId: randomUUID(), quantity, reason, operator });
  }

  // In doubt

  /** The ids of calls that were sent, as far as is known, and have no answer. */
  unanswered() {
    return this.storage.names().filter((name) => name !== 'key').sort();
  }

  /** Sends a call again as it was: it gets its first answer, or has its effect now. */
  repeat(requestId) {
    const { method, request } = this.storage.get(requestId);
    return this.move(method, request);
  }

  /** The redemption that a Redeem or HoldRedemption made; nothing when it has not arrived, or was refused. */
  async find(requestId) {
    const request = { name: `${this.paired.community}/redemptions/${requestId}` };
    try {
      return await this.ask(`${REDEMPTION}/GetRedemption`, request, QUERY_MS);
    } catch (error) {
      // "Not the caller's own, or not there": whoever may only see their own is not told which.
      if (error.reason === 'NOT_YOURS') return null;
      throw error;
    }
  }

  /** Undoes a Redeem or HoldRedemption, or makes sure that it never has an effect. */
  async cancel(requestId) {
    const request = { parent: this.paired.community, requestId };
    const { redemption } = await this.ask(`${REDEMPTION}/CancelRedemptionByRequestId`, request, MOVE_MS);
    this.storage.remove(requestId);
    return redemption ?? null;
  }

  // How calls are made

  order(memberHandle, offer, quantity) {
    return { parent: this.paired.community, requestId: randomUUID(), memberHandle, offer, quantity };
  }

  async move(method, request) {
    this.storage.set(request.requestId, { method, request });
    try {
      const answer = await this.ask(`${REDEMPTION}/${method}`, request, MOVE_MS);
      this.storage.remove(request.requestId);
      return answer;
    } catch (error) {
      if (error instanceof Refused && !(error instanceof KeyRefused)) this.storage.remove(request.requestId);
      throw error;
    }
  }

  ask(method, request, ms) {
    return ask(this.address, method, request, { bearer: this.paired?.key, ms, tries: this.tries });
  }

  keep(paired) {
    this.storage.set('key', paired);
    this.paired = paired;
  }
}
