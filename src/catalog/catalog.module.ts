import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { CatalogWorker } from './catalog-worker.js';
import { CatalogsController } from './catalogs.controller.js';
import { CatalogsService } from './catalogs.service.js';
import { ListedPrices } from './listed-prices.js';
import { ServicesController } from './services.controller.js';
import { ServicesService } from './services.service.js';

/** Finds what may be bought: catalogs that admins subscribe to, and what a grant could pay of them. */
@Module({
  imports: [AccessModule, OutboxModule, TreasuryModule],
  controllers: [CatalogsController, ServicesController],
  providers: [CatalogsService, CatalogWorker, ServicesService, ListedPrices],
  exports: [ServicesService, ListedPrices],
})
export class CatalogModule {}
