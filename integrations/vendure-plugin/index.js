'use strict';

const { randomUUID } = require('node:crypto');
const {
    ConfigService,
    EventBus,
    HistoryEntryEvent,
    JobQueueService,
    LanguageCode,
    Logger,
    Order,
    PluginCommonModule,
    TransactionalConnection,
    VendurePlugin,
} = require('@vendure/core');
const { RELATIONS, eventOf, told } = require('./order.js');
const { keyOf, post } = require('./webhook.js');

const QUEUE = 'licentia';
const RETRIES = 160;
const LONGEST_WAIT = 600;
const label = (value) => [{ languageCode: LanguageCode.en, value }];

/** What the plugin adds to an order; Licentia writes both. */
const FIELDS = [
    { name: 'licentiaTicket', type: 'string', public: true, nullable: true, label: label('License ticket') },
    { name: 'licentiaProblem', type: 'text', public: false, nullable: true, label: label('Why there is no ticket') },
];

/**
 * Tells Licentia of orders that are paid, changed, cancelled or refunded.
 *
 * What happens to an order ends in its history, and an entry there becomes a job of the shop's queue once its
 * transaction is over. The job loads the order and posts it, so the newest state is told however late it is.
 */
class LicentiaPlugin {
    /** @param {import('./index').LicentiaOptions} options */
    static init(options) {
        const url = new URL(options.url);
        if (url.protocol !== 'https:' && !['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)) {
            throw new Error('LicentiaPlugin: `url` must begin with https://');
        }
        LicentiaPlugin.options = { url: url.href, key: keyOf(options.secret), retries: options.retries ?? RETRIES };
        return LicentiaPlugin;
    }

    /** How long a job waits after so many attempts, in milliseconds: `backoffStrategy` of the job queue. */
    static backoff(queueName, attemptsMade) {
        return queueName === QUEUE ? 1000 * Math.min(LONGEST_WAIT, 2 ** attemptsMade) : 1000;
    }

    constructor(eventBus, jobQueueService, connection, configService) {
        this.eventBus = eventBus;
        this.jobQueueService = jobQueueService;
        this.connection = connection;
        this.configService = configService;
    }

    async onApplicationBootstrap() {
        if (!LicentiaPlugin.options) {
            throw new Error('LicentiaPlugin: put the result of `LicentiaPlugin.init({...})` among the plugins');
        }
        this.queue = await this.jobQueueService.createQueue({ name: QUEUE, process: (job) => this.send(job.data) });
        this.subscription = this.eventBus.ofType(HistoryEntryEvent).subscribe((event) => {
            this.noticed(event).catch((error) => Logger.error(`An order was not noticed: ${error?.message}`, QUEUE));
        });
    }

    onApplicationShutdown() {
        this.subscription?.unsubscribe();
    }

    async noticed({ entity, historyType, input, type }) {
        const event = type === 'created' && historyType === 'order' ? eventOf(input?.type, input?.data) : undefined;
        if (event) {
            const data = { id: randomUUID(), order: entity.order.id, event, at: new Date().toISOString() };
            await this.queue.add(data, { retries: LicentiaPlugin.options.retries });
        }
    }

    async send({ id, order: orderId, event, at }) {
        const orders = this.connection.rawConnection.getRepository(Order);
        const order = await orders.findOne({ where: { id: orderId }, relations: RELATIONS });
        if (order) {
            const { entityIdStrategy } = this.configService.entityOptions;
            const data = told(order, (key) => entityIdStrategy.encodeId(key));
            const { url, key } = LicentiaPlugin.options;
            await post(url, key, id, { type: event, timestamp: at, data });
        }
    }
}

Reflect.defineMetadata(
    'design:paramtypes',
    [EventBus, JobQueueService, TransactionalConnection, ConfigService],
    LicentiaPlugin,
);
VendurePlugin({
    imports: [PluginCommonModule],
    compatibility: '^3.0.0',
    configuration: (config) => {
        config.customFields.Order.push(...FIELDS);
        return config;
    },
})(LicentiaPlugin);

module.exports = { LicentiaPlugin };
