import { Controller, Delete, Get, HttpCode, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { Answers, BodyInput, IdInput, Operation, QueryInput } from '../http/contract.js';
import {
  type CatalogBody,
  type CatalogListQuery,
  catalogAnswerSchema,
  catalogListSchema,
  catalogPageSchema,
  catalogSchema,
} from './catalogs.dto.js';
import { CatalogsService } from './catalogs.service.js';

/** `/v1/catalogs`: origins whose priced operations are listed. */
@ApiTags('Catalogs')
@Controller('v1/catalogs')
export class CatalogsController {
  constructor(private readonly catalogs: CatalogsService) {}

  @Post()
  @Allow('admin')
  @Operation('createCatalog', 'Subscribe to what an origin sells', ['conflict', 'not_found'])
  @Answers(201, catalogAnswerSchema, 'It is read soon, and then every hour')
  create(
    @CurrentCaller() caller: Caller,
    @BodyInput(catalogSchema) body: CatalogBody,
    @RequestId() requestId: string,
  ) {
    return this.catalogs.subscribe({ caller, requestId }, body);
  }

  @Get()
  @Allow('admin', 'approver', 'auditor')
  @Operation('listCatalogs', 'List catalogs')
  @Answers(200, catalogPageSchema, 'The catalogs of the treasuries the caller sees, newest first')
  list(@CurrentCaller() caller: Caller, @QueryInput(catalogListSchema) query: CatalogListQuery) {
    return this.catalogs.list(caller, query);
  }

  @Get(':id')
  @Allow('admin', 'approver', 'auditor')
  @Operation('getCatalog', 'Show a catalog and how its documents were read')
  @Answers(200, catalogAnswerSchema, 'The catalog')
  get(@CurrentCaller() caller: Caller, @IdInput('cat') id: string) {
    return this.catalogs.get(caller, id);
  }

  @Post(':id/refresh')
  @HttpCode(202)
  @Allow('admin')
  @Operation('refreshCatalog', 'Read a catalog now')
  @Answers(202, catalogAnswerSchema, 'It is read soon')
  refresh(@CurrentCaller() caller: Caller, @IdInput('cat') id: string) {
    return this.catalogs.refresh(caller, id);
  }

  @Delete(':id')
  @Allow('admin')
  @Operation('deleteCatalog', 'Remove a catalog with what it lists')
  @Answers(200, catalogAnswerSchema, 'The catalog as it was')
  remove(
    @CurrentCaller() caller: Caller,
    @IdInput('cat') id: string,
    @RequestId() requestId: string,
  ) {
    return this.catalogs.remove({ caller, requestId }, id);
  }
}
