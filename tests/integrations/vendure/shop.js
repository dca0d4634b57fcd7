'use strict';

/*
 * A Vendure shop on SQLite for tests, with Licentia's plugin in it; all it keeps is in the folder that it is given.
 * usage: node shop.js FOLDER [URL SECRET]   where the plugin tells its orders, and its secret; without, there is no plugin
 * Prints its address when it is ready, and ends when its input ends.
 */

const { existsSync } = require('node:fs');
const path = require('node:path');
const {
    DefaultJobQueuePlugin,
    DefaultLogger,
    JobQueueService,
    LogLevel,
    bootstrap,
    dummyPaymentHandler,
} = require('@vendure/core');
const { populate } = require('@vendure/core/cli');
const { LicentiaPlugin } = require('../../../integrations/vendure-plugin');

const [folder, url, secret] = process.argv.slice(2);
const database = path.join(folder, 'shop.sqlite');

const config = {
    apiOptions: { hostname: '127.0.0.1', port: 0, adminApiPath: 'admin-api', shopApiPath: 'shop-api' },
    authOptions: {
        tokenMethod: ['bearer', 'cookie', 'api-key'],
        requireVerification: false,
        superadminCredentials: { identifier: 'superadmin', password: 'superadmin' },
        cookieOptions: { secret: 'shop' },
    },
    dbConnectionOptions: { type: 'better-sqlite3', database, synchronize: !existsSync(database) },
    paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
    importExportOptions: { importAssetsDir: folder },
    logger: new DefaultLogger({ level: LogLevel.Warn, timestamp: false }),
    customFields: {
        ProductVariant: [{ name: 'licenceItem', type: 'string', nullable: true }],
        OrderLine: [{ name: 'domain', type: 'string', nullable: true }],
    },
    plugins: [
        DefaultJobQueuePlugin.init({
            pollInterval: 50,
            useDatabaseForBuffer: false,
            // Tests have no time to wait as long as a shop should.
            backoffStrategy: (...job) => LicentiaPlugin.backoff(...job) / 20,
        }),
        ...(url ? [LicentiaPlugin.init({ url, secret })] : []),
    ],
};

const initial = {
    defaultLanguage: 'en',
    defaultZone: 'Europe',
    countries: [{ name: 'Germany', code: 'DE', zone: 'Europe' }],
    taxRates: [{ name: 'Standard', percentage: 19 }],
    shippingMethods: [{ name: 'Download', price: 0 }],
    paymentMethods: [
        {
            name: 'invoice',
            handler: { code: dummyPaymentHandler.code, arguments: [{ name: 'automaticSettle', value: 'true' }] },
        },
        {
            name: 'card',
            handler: { code: dummyPaymentHandler.code, arguments: [{ name: 'automaticSettle', value: 'false' }] },
        },
    ],
    collections: [],
};

async function main() {
    const app = existsSync(database)
        ? await bootstrap(config)
        : await populate(() => bootstrap(config), initial);
    await app.get(JobQueueService).start();
    console.log(`http://127.0.0.1:${app.getHttpServer().address().port}`);
    process.stdin.resume();
    process.stdin.on('end', () => process.exit(0));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
