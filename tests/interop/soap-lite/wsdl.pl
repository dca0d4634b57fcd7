# Print what SOAP::Lite sends when it is left alone with the WSDL: the value that it is given is lost.
use strict;
use warnings;
use SOAP::Lite +trace => 'debug';

my $service = SOAP::Lite->service("$ENV{LICENTIA_URL}/soap/depot?wsdl");
$service->on_fault(sub { $_[1] });
$service->GetTicket('00000-00000-00000-00000-00000');
