import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller } from '../access/caller.js';
import { Answers, Operation, QueryInput } from '../http/contract.js';
import { type ServicesQuery, servicesPageSchema, servicesQuerySchema } from './services.dto.js';
import { ServicesService } from './services.service.js';

/** `/v1/services`: priced operations that a grant could pay. */
@ApiTags('Catalogs')
@Controller('v1/services')
export class ServicesController {
  constructor(private readonly services: ServicesService) {}

  @Get()
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('listServices', 'List priced operations that a grant could pay')
  @Answers(200, servicesPageSchema, 'What the grant could pay, the best first')
  list(@CurrentCaller() caller: Caller, @QueryInput(servicesQuerySchema) query: ServicesQuery) {
    return this.services.search(caller, query);
  }
}
