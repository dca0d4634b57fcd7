// The story with KDSoap: classes made by kdwsdl2cpp, a namespace per service.
#include <QCoreApplication>
#include <QEventLoop>
#include <QUrl>
#include <QUuid>
#include <KDSoapClient/KDSoapAuthentication.h>
#include <KDSoapClient/KDSoapMessage.h>
#include <algorithm>
#include <iostream>

#include "admin.h"
#include "depot.h"
#include "licensing.h"
#include "sales.h"

#ifdef SOAP_2
using Admin = admin::AdminService::AdminSoap12;
using Sales = sales::SalesService::SalesSoap12;
using Depot = depot::DepotService::DepotSoap12;
using Licensing = licensing::LicensingService::LicensingSoap12;
#else
using Admin = admin::AdminService;
using Sales = sales::SalesService;
using Depot = depot::DepotService;
using Licensing = licensing::LicensingService;
#endif

static const QString run = qEnvironmentVariable("RUN");

static void say(const char *step, const QString &value) {
    std::cout << step << "=" << value.toStdString() << std::endl;
}

static void say(const char *step, bool value) { say(step, QString(value ? "true" : "false")); }

// A service that shows its key in the way that is wanted, in one call: KDSoap's own nonces are the same in each run of a
// program, and a nonce is good once.
template <class Service>
static Service &ready(Service &service) {
    const QByteArray name = QUrl(service.endPoint()).fileName().toUtf8();
    const QString key = qEnvironmentVariable(("KEY_" + name.toUpper()).constData());
    const QByteArray way = qgetenv("SOAP_AUTH");
    if (way == "bearer") {
        service.clientInterface()->setRawHTTPHeaders({{"Authorization", "Bearer " + key.toUtf8()}});
        return service;
    }
    KDSoapAuthentication authentication;
    authentication.setUser(key.section('_', 1, 1));
    authentication.setPassword(key.section('_', 2));
    authentication.setUseWSUsernameToken(way == "digest");
    authentication.setOverrideWSUsernameNonce(QUuid::createUuid().toByteArray());
    service.clientInterface()->setAuthentication(authentication);
    return service;
}

template <class Service>
static void check(const Service &service) {
    if (!service.lastError().isEmpty()) {
        std::cerr << service.lastError().toStdString() << std::endl;
        exit(1);
    }
}

// The detail of the fault that an asynchronous call gives: a call that waits keeps only its text.
template <class Service, class Call>
static KDSoapValueList refusal(Service &service, Call call) {
    KDSoapValueList detail;
    QEventLoop loop;
    QObject::connect(&service, &Service::soapError, &loop, [&](const QString &, const KDSoapMessage &fault) {
        for (const KDSoapValue &part : fault.childValues()) {
            if (part.name().toLower() == "detail") detail = part.childValues().child("LicensingFault").childValues();
        }
        loop.quit();
    });
    call();
    loop.exec();
    return detail;
}

static QString text(const KDSoapValueList &values, const char *name) { return values.child(name).value().toString(); }

static sales::TNS__CreateOrder order(const QString &sku) {
    sales::TNS__Customer customer;
    customer.setId(QString("c1"));
    customer.setName(QString("Ünal & Söhne <GmbH>"));
    sales::TNS__OrderLine line;
    line.setLineId(QString("1"));
    line.setSku(sku);
    line.setQuantity(1);
    sales::TNS__CreateOrder made;
    made.setSource(QString("interop"));
    made.setOrderNumber(run);
    made.setCustomer(customer);
    made.setLines({line});
    return made;
}

static licensing::TNS__CheckoutLicense lease(int number) {
    licensing::TNS__CheckoutLicense wanted;
    wanted.setLeaseId(QString("%1-%2").arg(run).arg(number));
    wanted.setProductCode(run);
    wanted.setUser(run);
    return wanted;
}

static QString held(Licensing &service) {
    licensing::TNS__ListLeases query;
    query.setProductCode(run);
    QStringList numbers;
    for (const auto &entry : ready(service).listLeases(query).leases()) {
        const QString id = entry.leaseId();
        numbers << id.mid(run.size() + 1);
    }
    check(service);
    numbers.sort();
    return numbers.join(' ');
}

int main(int argc, char **argv) {
    QCoreApplication application(argc, argv);
    Admin admins;
    Sales orders;
    Depot tickets;
    Licensing leases;
    const QString address = qEnvironmentVariable("LICENTIA_URL") + "/soap/";
    admins.setEndPoint(address + "admin");
    orders.setEndPoint(address + "sales");
    tickets.setEndPoint(address + "depot");
    leases.setEndPoint(address + "licensing");

    admin::TNS__Item item;
    item.setProductCode(run);
    item.setQuantity(3);
    item.setFeatures({QString("x"), QString("y")});
    admin::TNS__PutProduct product;
    product.setSku(run);
    product.setName(QString("Ä & <b>"));
    product.setItems({item});
    const auto made = ready(admins).putProduct(product);
    check(admins);
    say("product.created", made.created());
    say("product.name", made.name());
    const QString x = made.items().first().features()[0], y = made.items().first().features()[1];
    say("product.features", x + " " + y);

    const auto first = ready(orders).createOrder(order(run));
    check(orders);
    const auto again = ready(orders).createOrder(order(run));
    say("order.created", first.created());
    say("order.ticket", first.ticket());
    say("repeat.created", again.created());
    say("repeat.ticket", again.ticket());
    const auto wrong = refusal(orders, [&] { ready(orders).asyncCreateOrder(order("a b")); });
    say("invalid.code", text(wrong, "code"));
    say("invalid.pointer", text(wrong.child("errors").childValues(), "pointer"));

    depot::TNS__GetTicket code;
    code.setCode(first.ticket());
    const auto ticket = ready(tickets).getTicket(code);
    check(tickets);
    say("ticket.customer", ticket.customer());
    const qint64 available = ticket.licenses().first().available();
    say("ticket.available", QString::number(available));
    depot::TNS__Container container;
    container.setKind(QString("cloud-lite"));
    container.setUser(run);
    depot::TNS__ActivateTicket activate;
    activate.setCode(first.ticket());
    activate.setContainer(container);
    const auto activation = ready(tickets).activateTicket(activate);
    check(tickets);
    say("activation.state", activation.state().serialize("state").value().toString());

    QStringList seats;
    qint64 seconds = 0;
    for (int number = 1; number <= 3; number++) {
        const auto granted = ready(leases).checkoutLicense(lease(number));
        check(leases);
        const qint64 inUse = granted.seatsInUse();
        seats << QString::number(inUse);
        seconds = granted.grantedAt().secsTo(granted.expiresAt());
    }
    say("checkout.seats", seats.join(' '));
    say("checkout.seconds", QString::number(seconds));
    say("refusal.code", text(refusal(leases, [&] { ready(leases).asyncCheckoutLicense(lease(4)); }), "code"));
    say("renewal.created", ready(leases).checkoutLicense(lease(1)).created());
    say("leases", held(leases));
    licensing::TNS__ReleaseLease release;
    release.setLeaseId(run + "-1");
    ready(leases).releaseLease(release);
    check(leases);
    say("released", held(leases));
    return 0;
}
