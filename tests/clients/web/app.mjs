// What a member's mini-program does: shows a code at the counter, and what was taken.

import { randomUUID } from 'node:crypto';
import { ask } from './json.mjs';

const MOVE_MS = 3000;
const QUERY_MS = 2000;

/** The member's app, with the token that its login gave it. */
export class App {
  constructor(address, community, member, token) {
    Object.assign(this, { address, community, member, token });
  }

  /** The code to show, valid for a minute and for one use; `qrSvg` is the same as a picture. */
  showCode() {
    const request = { parent: this.member, requestId: randomUUID() };
    return ask(this.address, 'redemption.v1.MemberCodeService/CreateMemberCode', request, {
      bearer: this.token,
      ms: MOVE_MS,
    });
  }

  /** What the member has taken, newest first. */
  async history() {
    const request = { parent: this.community, member: this.member };
    const method = 'redemption.v1.RedemptionService/ListRedemptions';
    const { redemptions } = await ask(this.address, method, request, { bearer: this.token, ms: QUERY_MS });
    return redemptions;
  }
}
