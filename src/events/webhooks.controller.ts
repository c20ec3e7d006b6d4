import { Controller, Delete, Get, HttpCode, Patch, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { Answers, BodyInput, IdInput, Operation, QueryInput } from '../http/contract.js';
import { DeliveriesService } from './deliveries.service.js';
import {
  type DeliveryListQuery,
  deliveryAnswerSchema,
  deliveryListSchema,
  deliveryPageSchema,
  type ReplayBody,
  replayAnswerSchema,
  replaySchema,
  rotatedSchema,
  type WebhookBody,
  type WebhookChange,
  type WebhookListQuery,
  type WebhookReasonBody,
  webhookAnswerSchema,
  webhookChangeSchema,
  webhookListSchema,
  webhookPageSchema,
  webhookReasonSchema,
  webhookSchema,
  webhookWithSecretSchema,
} from './webhooks.dto.js';
import { WebhooksService } from './webhooks.service.js';

/** `/v1/webhooks`: receivers of events, and what was sent to them. */
@ApiTags('Webhooks')
@Controller('v1/webhooks')
export class WebhooksController {
  constructor(
    private readonly webhooks: WebhooksService,
    private readonly deliveries: DeliveriesService,
  ) {}

  @Post()
  @Allow('admin', 'holder')
  @Operation('createWebhook', 'Register a webhook', ['conflict', 'invalid_transition', 'not_found'])
  @Answers(201, webhookWithSecretSchema, 'It gets what happens from now on')
  create(
    @CurrentCaller() caller: Caller,
    @BodyInput(webhookSchema) body: WebhookBody,
    @RequestId() requestId: string,
  ) {
    return this.webhooks.register({ caller, requestId }, body);
  }

  @Get()
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('listWebhooks', 'List webhooks')
  @Answers(200, webhookPageSchema, 'The webhooks the caller may see, newest first')
  list(@CurrentCaller() caller: Caller, @QueryInput(webhookListSchema) query: WebhookListQuery) {
    return this.webhooks.list(caller, query);
  }

  @Get(':id')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('getWebhook', 'Read a webhook')
  @Answers(200, webhookAnswerSchema, 'The webhook')
  read(@CurrentCaller() caller: Caller, @IdInput('whk') id: string) {
    return this.webhooks.get(caller, id);
  }

  @Patch(':id')
  @Allow('admin', 'holder')
  @Operation('changeWebhook', 'Change the address, kinds or description of a webhook')
  @Answers(200, webhookAnswerSchema, 'The webhook as it is now')
  change(
    @CurrentCaller() caller: Caller,
    @IdInput('whk') id: string,
    @BodyInput(webhookChangeSchema) body: WebhookChange,
    @RequestId() requestId: string,
  ) {
    return this.webhooks.change({ caller, requestId }, id, body);
  }

  @Delete(':id')
  @Allow('admin', 'holder')
  @Operation('deleteWebhook', 'Delete a webhook with its deliveries')
  @Answers(200, webhookAnswerSchema, 'The webhook as it was')
  remove(
    @CurrentCaller() caller: Caller,
    @IdInput('whk') id: string,
    @RequestId() requestId: string,
  ) {
    return this.webhooks.remove({ caller, requestId }, id);
  }

  @Post(':id/rotate')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('rotateWebhookSecret', 'Give a webhook a new secret')
  @Answers(200, rotatedSchema, 'The new secret; the one before signs too for a day')
  rotate(
    @CurrentCaller() caller: Caller,
    @IdInput('whk') id: string,
    @RequestId() requestId: string,
  ) {
    return this.webhooks.rotate({ caller, requestId }, id);
  }

  @Post(':id/pause')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('pauseWebhook', 'Stop sending to a webhook', ['invalid_transition'])
  @Answers(200, webhookAnswerSchema, 'It sends nothing until it is resumed')
  pause(
    @CurrentCaller() caller: Caller,
    @IdInput('whk') id: string,
    @BodyInput(webhookReasonSchema) { reason }: WebhookReasonBody,
    @RequestId() requestId: string,
  ) {
    return this.webhooks.pause({ caller, requestId }, id, reason);
  }

  @Post(':id/resume')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('resumeWebhook', 'Go on sending to a paused webhook', ['invalid_transition'])
  @Answers(200, webhookAnswerSchema, 'It goes on with the event at which it stopped')
  resume(
    @CurrentCaller() caller: Caller,
    @IdInput('whk') id: string,
    @BodyInput(webhookReasonSchema) { reason }: WebhookReasonBody,
    @RequestId() requestId: string,
  ) {
    return this.webhooks.resume({ caller, requestId }, id, reason);
  }

  @Post(':id/test')
  @HttpCode(202)
  @Allow('admin', 'holder')
  @Operation('testWebhook', 'Send a test to a webhook', ['conflict', 'invalid_transition'])
  @Answers(202, deliveryAnswerSchema, 'It is sent soon, signed as every delivery is')
  test(@CurrentCaller() caller: Caller, @IdInput('whk') id: string) {
    return this.deliveries.test(caller, id);
  }

  @Get(':id/deliveries')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('listDeliveries', 'List the deliveries of a webhook with every try')
  @Answers(200, deliveryPageSchema, 'Deliveries of the last 30 days, newest first')
  listDeliveries(
    @CurrentCaller() caller: Caller,
    @IdInput('whk') id: string,
    @QueryInput(deliveryListSchema) query: DeliveryListQuery,
  ) {
    return this.deliveries.list(caller, id, query);
  }

  @Post(':id/deliveries/:deliveryId/redeliver')
  @HttpCode(202)
  @Allow('admin', 'holder')
  @Operation('redeliver', 'Send a delivery again', ['conflict', 'invalid_transition'])
  @Answers(202, deliveryAnswerSchema, 'It is sent soon, with the same webhook-id')
  redeliver(
    @CurrentCaller() caller: Caller,
    @IdInput('whk') id: string,
    @IdInput('whd', 'deliveryId') deliveryId: string,
  ) {
    return this.deliveries.redeliver(caller, id, deliveryId);
  }

  @Post(':id/replay')
  @HttpCode(202)
  @Allow('admin', 'holder')
  @Operation('replayWebhook', 'Send the events of a span of time again', [
    'conflict',
    'invalid_transition',
  ])
  @Answers(202, replayAnswerSchema, 'They are sent soon, each with its own webhook-id')
  replay(
    @CurrentCaller() caller: Caller,
    @IdInput('whk') id: string,
    @BodyInput(replaySchema) body: ReplayBody,
  ) {
    return this.deliveries.replay(caller, id, body);
  }
}
