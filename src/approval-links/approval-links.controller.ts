import { Body, Controller, Get, Param, Post, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '../access/allow.js';
import { RequestId } from '../access/caller.js';
import { Problem } from '../domain/problem.js';
import { PROBLEM_STATUS } from '../http/problem.js';
import { ApprovalLinks, type Decided } from './approval-links.service.js';
import { PAGE_POLICY, paymentPage, raisePage, saidPage } from './approval-page.js';

/**
 * `/approve/:link`: a page for a person with a one-time link. The link is all that it takes, so the page is no part of
 * the API's contract. A GET shows what is asked and never decides: mail scanners and previews follow links.
 */
@ApiExcludeController()
@Controller('approve')
export class ApprovalLinksController {
  constructor(private readonly links: ApprovalLinks) {}

  @Get(':link')
  @Public()
  async show(@Param('link') link: string, @Res() reply: FastifyReply): Promise<void> {
    await answer(reply, async () => {
      const asked = await this.links.look(link);
      return asked.kind === 'payment' ? paymentPage(asked) : raisePage(asked);
    });
  }

  @Post(':link')
  @Public()
  async decide(
    @Param('link') link: string,
    @Body() body: unknown,
    @RequestId() requestId: string,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await answer(reply, async () => {
      const { decision } = (body ?? {}) as { decision?: 'approve' | 'reject' };
      if (decision !== 'approve' && decision !== 'reject') {
        throw new Problem('invalid_request', 'choose Approve or Reject on the page of the link');
      }
      return saidPage(
        decision === 'approve' ? 'Approved' : 'Rejected',
        outcomeOf(await this.links.decide(link, decision, requestId), decision),
      );
    });
  }
}

function outcomeOf(decided: Decided, decision: 'approve' | 'reject'): string {
  const isApproved = decision === 'approve';
  if (decided.kind === 'payment') {
    const { amount, currency, payTo } = decided.payment;
    const then = isApproved ? 'It is paid when the agent asks again.' : 'Nothing is paid.';
    return `${amount} ${currency} to ${payTo}. ${then}`;
  }
  const { grantId, budget, currency } = decided.request;
  return isApproved
    ? `The budget of ${grantId} is ${budget} ${currency} now.`
    : `The terms of ${grantId} stay as they are.`;
}

/** Answers with a page, of a problem too: a person reads it. */
async function answer(reply: FastifyReply, page: () => Promise<string>): Promise<void> {
  void reply.header('content-security-policy', PAGE_POLICY).type('text/html; charset=utf-8');
  try {
    void reply.status(200).send(await page());
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    void reply.status(PROBLEM_STATUS[error.code]).send(saidPage('Not decided', error.detail));
  }
}
