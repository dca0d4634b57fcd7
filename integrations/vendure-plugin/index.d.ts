import { Job } from '@vendure/core';

export interface LicentiaOptions {
    /** Where deliveries go: `https://HOST/connectors/NAME`. */
    url: string;
    /** `secret` of the connection: `whsec_` and Base64. */
    secret: string;
    /** How often a job is tried again; 160, which is a day with `LicentiaPlugin.backoff`. */
    retries?: number;
}

/** Tells Licentia of orders that are paid, changed, cancelled or refunded. */
export declare class LicentiaPlugin {
    static init(options: LicentiaOptions): typeof LicentiaPlugin;
    /** `backoffStrategy` of the job queue: 2, 4, 8 seconds up to 10 minutes for this plugin's jobs. */
    static backoff(queueName: string, attemptsMade: number, job?: Job): number;
}
