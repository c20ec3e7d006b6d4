import { Module } from '@nestjs/common';
import { GatewayController } from './gateway.controller.js';
import { GatewayService } from './gateway.service.js';

/** The books of gateways in the service. A gateway itself is a process of its own (start-gateway.ts). */
@Module({ controllers: [GatewayController], providers: [GatewayService] })
export class GatewayModule {}
