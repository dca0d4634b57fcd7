'use strict';

/** The relations of an order that are told. */
const RELATIONS = { customer: true, lines: { productVariant: true }, payments: true };

/**
 * An order as it is told: each field by its name, since an order of Vendure has getters that throw where
 * something is not loaded. Ids are written as the Admin API writes them.
 *
 * @param {import('@vendure/core').Order} order loaded with `RELATIONS`
 * @param {(id: any) => any} encoded the id as the shop's `entityIdStrategy` encodes it
 */
function told(order, encoded) {
    const buyer = order.customer;
    return {
        code: order.code,
        state: order.state,
        updatedAt: order.updatedAt,
        customer: buyer && {
            id: encoded(buyer.id),
            emailAddress: buyer.emailAddress,
            firstName: buyer.firstName,
            lastName: buyer.lastName,
        },
        lines: order.lines.map((line) => ({
            id: encoded(line.id),
            quantity: line.quantity,
            sku: line.productVariant.sku,
            customFields: line.customFields ?? {},
            variantCustomFields: line.productVariant.customFields ?? {},
        })),
        payments: (order.payments ?? []).map((payment) => ({ method: payment.method, state: payment.state })),
    };
}

/**
 * What an entry in an order's history is told as; undefined if it changes nothing that is paid for.
 *
 * @param {string} type of the entry
 * @param {any} data of the entry
 * @returns {string | undefined}
 */
function eventOf(type, data) {
    switch (type) {
        case 'ORDER_STATE_TRANSITION':
            return stateEvent(data?.from, data?.to);
        case 'ORDER_MODIFIED':
        case 'ORDER_CANCELLATION':
        case 'ORDER_CUSTOMER_UPDATED':
            return 'order.modified';
        case 'ORDER_REFUND_TRANSITION':
            return data?.to === 'Settled' ? 'order.refunded' : undefined;
        default:
            return undefined;
    }
}

function stateEvent(from, to) {
    if (to === 'Cancelled') {
        return 'order.cancelled';
    }
    if (to === 'PaymentSettled') {
        return from === 'Modifying' ? 'order.modified' : 'order.placed';
    }
    return from === 'Modifying' || /^(Partially)?(Shipped|Delivered)$/.test(to) ? 'order.updated' : undefined;
}

module.exports = { RELATIONS, told, eventOf };
